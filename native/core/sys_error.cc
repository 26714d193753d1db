#include "core/sys_error.h"

#include <bpf/libbpf.h>
#include <string.h>
#include <uv.h>

#include <cstdarg>
#include <cstdio>

namespace margay {
namespace {

constexpr size_t kLogBytesMax = 256 * 1024;
/** Kernel-internal number that the bpf system call lets out; no libc knows it. */
constexpr int kEnotsupp = 524;

thread_local std::string* log_of_this_thread = nullptr;

std::string CodeName(int err) {
  if (err == kEnotsupp) return "ENOTSUPP";
#ifdef __GLIBC__
  if (const char* name = strerrorname_np(err)) return name;
#endif
  return uv_err_name(-err);
}

std::string Description(int err) {
  if (err == kEnotsupp) return "operation not supported by this kernel object";
  char buffer[128];
  uv_strerror_r(-err, buffer, sizeof buffer);
  return buffer;
}

int Print(enum libbpf_print_level level, const char* format, va_list args) {
  std::string* log = log_of_this_thread;
  if (log == nullptr || level == LIBBPF_DEBUG) return 0;
  va_list again;
  va_copy(again, args);
  const int length = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  const size_t old_size = log->size();
  log->resize(old_size + length + 1);
  vsnprintf(log->data() + old_size, length + 1, format, args);
  log->pop_back();
  return length;
}

}  // namespace

Napi::Error ToError(Napi::Env env, const SysError& error) {
  const std::string code = CodeName(error.err);
  Napi::Error made =
      Napi::Error::New(env, code + ": " + Description(error.err) + ", " + error.syscall);
  Napi::Object fields = made.Value();
  fields.Set("code", code);
  fields.Set("errno", -error.err);
  fields.Set("syscall", error.syscall);
  if (!error.log.empty()) fields.Set("log", error.log);
  return made;
}

void Throw(Napi::Env env, const SysError& error) {
  ToError(env, error).ThrowAsJavaScriptException();
}

void ThrowCoded(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error made = Napi::Error::New(env, message);
  made.Value().Set("code", code);
  made.ThrowAsJavaScriptException();
}

LibbpfLog::LibbpfLog() { log_of_this_thread = &text_; }
LibbpfLog::~LibbpfLog() { log_of_this_thread = nullptr; }

std::string LibbpfLog::Take() {
  if (text_.size() > kLogBytesMax) text_.erase(0, text_.size() - kLogBytesMax);
  return std::move(text_);
}

void LibbpfLog::Install() { libbpf_set_print(Print); }

}  // namespace margay
