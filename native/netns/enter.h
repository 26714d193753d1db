#pragma once

#include <napi.h>

#include <string>

#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** Opens a network namespace file. Null, with *error set, when that fails. */
SharedFd OpenNetns(const std::string& path, SysError* error);

/**
 * Puts the calling thread into another network namespace, and back when it ends. A thread left in
 * the wrong namespace would program the wrong host, so the process aborts if it cannot return.
 */
class ScopedNetns {
 public:
  /** Null `netns`: stays where it is. */
  explicit ScopedNetns(const SharedFd& netns);
  ~ScopedNetns();
  ScopedNetns(const ScopedNetns&) = delete;
  ScopedNetns& operator=(const ScopedNetns&) = delete;

  /** What kept the thread out, if anything. */
  const SysError& error() const { return error_; }

 private:
  UniqueFd home_;
  SysError error_;
};

/** inNetns(path, body). */
Napi::Value InNetns(const Napi::CallbackInfo& info);

}  // namespace margay
