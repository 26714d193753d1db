#include "bpf/test_run.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "core/args.h"

namespace margay {
namespace {

/** Room for headers that the program adds, when the caller does not say. */
constexpr uint32_t kOutputExtraBytes = 256;

bool ReadBytes(Napi::Env env, Napi::Object options, const char* name, std::vector<uint8_t>* out) {
  Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return true;
  auto bytes = ToBytes(env, value, name);
  if (!bytes) return false;
  *out = bytes->Copy();
  return true;
}

}  // namespace

std::optional<TestRun> ToTestRun(Napi::Env env, Napi::Value value, SharedFd program,
                                 uint32_t program_type) {
  if (!value.IsObject()) {
    ThrowType(env, "options must be an object");
    return std::nullopt;
  }
  auto options = value.As<Napi::Object>();
  TestRun run;
  run.program = std::move(program);
  run.is_syscall = program_type == BPF_PROG_TYPE_SYSCALL;
  if (!ReadBytes(env, options, "data", &run.data)) return std::nullopt;
  if (!ReadBytes(env, options, "context", &run.context)) return std::nullopt;
  auto repeat = ToU32Or(env, options.Get("repeat"), "repeat", 0);
  if (!repeat) return std::nullopt;
  run.repeat = *repeat;
  const auto room_default = static_cast<uint32_t>(run.data.size() + kOutputExtraBytes);
  auto room = ToU32Or(env, options.Get("outputBytes"), "outputBytes", room_default);
  if (!room) return std::nullopt;
  if (!run.is_syscall) run.data_out.resize(*room);
  return run;
}

SysError RunTest(TestRun& run) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = run.data.empty() ? nullptr : run.data.data();
  options.data_size_in = run.data.size();
  options.data_out = run.data_out.empty() ? nullptr : run.data_out.data();
  options.data_size_out = run.data_out.size();
  options.ctx_in = run.context.empty() ? nullptr : run.context.data();
  options.ctx_size_in = run.context.size();
  // The kernel writes a syscall program's context back in place and refuses a second buffer.
  if (!run.is_syscall && !run.context.empty()) {
    options.ctx_out = run.context.data();
    options.ctx_size_out = run.context.size();
  }
  options.repeat = static_cast<int>(run.repeat);
  if (bpf_prog_test_run_opts(run.program->get(), &options) < 0) {
    return SysError{errno, "bpf(BPF_PROG_TEST_RUN)"};
  }
  run.retval = options.retval;
  run.duration_ns = options.duration;
  run.data_out.resize(options.data_size_out);
  return {};
}

Napi::Value FromTestRun(Napi::Env env, TestRun& run) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("retval", run.retval);
  result.Set("durationNs", run.duration_ns);
  result.Set("data", AdoptBytes(env, std::move(run.data_out)));
  result.Set("context", AdoptBytes(env, std::move(run.context)));
  return result;
}

}  // namespace margay
