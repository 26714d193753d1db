#pragma once

#include <napi.h>

#include <string>

namespace margay {

/** Outcome of a system call; false when it succeeded. Plain data: may be made on any thread. */
struct SysError {
  int err = 0;
  const char* syscall = "";
  std::string log = {};
  explicit operator bool() const { return err != 0; }
};

/** An Error with Node's fields: code, errno (negative), syscall; and log when there is one. */
Napi::Error ToError(Napi::Env env, const SysError& error);

void Throw(Napi::Env env, const SysError& error);

/** An Error that is about our own state and not about a system call: ERR_CLOSED, ERR_STATE. */
void ThrowCoded(Napi::Env env, const char* code, const std::string& message);

/**
 * While it lives, what libbpf has to say on this thread is kept: warnings and the verifier's log,
 * which libbpf prints in full after growing its buffer as needed. Scopes do not nest.
 */
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  /** The last 256 KiB: the reason of a refusal stands at the end. */
  std::string Take();

  /** Makes libbpf print nowhere else. Idempotent; called once per environment. */
  static void Install();

 private:
  std::string text_;
};

}  // namespace margay
