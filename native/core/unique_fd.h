#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace margay {

/** Owns one file descriptor and closes it once. */
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  /** A second descriptor of the same open file; invalid, with errno set, when that fails. */
  static UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

 private:
  int fd_ = -1;
};

/**
 * A descriptor that a pool thread may still be using when JavaScript closes its handle. The last
 * owner closes it, so a descriptor number is never reused under a running call.
 */
using SharedFd = std::shared_ptr<const UniqueFd>;

inline SharedFd Share(UniqueFd fd) { return std::make_shared<const UniqueFd>(std::move(fd)); }

}  // namespace margay
