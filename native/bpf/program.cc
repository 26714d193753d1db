#include "bpf/program.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "bpf/attach.h"
#include "bpf/link.h"
#include "bpf/test_run.h"
#include "core/promise_worker.h"

namespace margay {
namespace {

SysError ReadInfo(int fd, bpf_prog_info* prog_info) {
  __u32 size = sizeof *prog_info;
  if (bpf_prog_get_info_by_fd(fd, prog_info, &size) == 0) return {};
  return SysError{errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)"};
}

Napi::Value AttachInPool(Napi::Env env, LinkRequest request) {
  return RunInPool(env, std::move(request), CreateLink, [](Napi::Env done, LinkRequest& made) {
    return BpfLink::Make(done, std::move(made.link));
  });
}

}  // namespace

void BpfProgram::Export(Napi::Env env, Napi::Object exports) {
  Napi::Function made = DefineClass(env, kName,
                                    {
                                        StaticMethod("openPinned", &BpfProgram::OpenPinned),
                                        InstanceAccessor("fd", &BpfProgram::Fd, nullptr),
                                        InstanceMethod("info", &BpfProgram::Info),
                                        InstanceMethod("pin", &BpfProgram::Pin),
                                        InstanceMethod("testRun", &BpfProgram::TestRun),
                                        InstanceMethod("testRunSync", &BpfProgram::TestRunSync),
                                        InstanceMethod("attachTcx", &BpfProgram::AttachTcx),
                                        InstanceMethod("attachXdp", &BpfProgram::AttachXdp),
                                        InstanceMethod("attachNetfilter", &BpfProgram::AttachNetfilter),
                                        InstanceMethod("attachClsact", &BpfProgram::AttachClsact),
                                        InstanceMethod("close", &BpfProgram::Close),
                                    });
  AddonState::Of(env)->program_class = Napi::Persistent(made);
  exports.Set(kName, made);
}

SysError BpfProgram::Adopted() {
  bpf_prog_info prog_info = {};
  SysError error = ReadInfo(fd_->get(), &prog_info);
  type_ = prog_info.type;
  return error;
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  bpf_prog_info prog_info = {};
  if (SysError error = ReadInfo(fd->get(), &prog_info)) return Throw(env, error), env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", Napi::String::New(env, prog_info.name));
  result.Set("id", prog_info.id);
  result.Set("type", prog_info.type);
  result.Set("jitedBytes", prog_info.jited_prog_len);
  result.Set("verifiedInsns", prog_info.verified_insns);
  return result;
}

Napi::Value BpfProgram::TestRun(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto run = ToTestRun(env, info[0], fd, type_);
  if (!run) return env.Undefined();
  return RunInPool(env, std::move(*run), RunTest, FromTestRun);
}

Napi::Value BpfProgram::TestRunSync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto run = ToTestRun(env, info[0], fd, type_);
  if (!run) return env.Undefined();
  if (SysError error = RunTest(*run)) return Throw(env, error), env.Undefined();
  return FromTestRun(env, *run);
}

Napi::Value BpfProgram::AttachTcx(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto ifindex = ToU32(env, info[0], "ifindex");
  if (!ifindex) return env.Undefined();
  auto is_ingress = ToIsIngress(env, info[1]);
  if (!is_ingress) return env.Undefined();
  return AttachInPool(env, {fd, AddonState::Of(env)->netns, *ifindex,
                            *is_ingress ? BPF_TCX_INGRESS : BPF_TCX_EGRESS});
}

Napi::Value BpfProgram::AttachXdp(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto ifindex = ToU32(env, info[0], "ifindex");
  if (!ifindex) return env.Undefined();
  return AttachInPool(env, {fd, AddonState::Of(env)->netns, *ifindex, BPF_XDP});
}

Napi::Value BpfProgram::AttachNetfilter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  if (!info[0].IsObject()) return ThrowType(env, "place must be an object"), env.Undefined();
  const Napi::Object place = info[0].As<Napi::Object>();
  auto family = ToU32(env, place.Get("family"), "family");
  if (!family) return env.Undefined();
  auto number = ToU32(env, place.Get("hook"), "hook");
  if (!number) return env.Undefined();
  const Napi::Value priority = place.Get("priority");
  if (!priority.IsNumber()) return ThrowType(env, "priority must be a number"), env.Undefined();
  const bool reassemble = place.Get("reassemble").ToBoolean();
  return AttachInPool(env, {fd, AddonState::Of(env)->netns, 0, BPF_NETFILTER,
                            {*family, *number, priority.As<Napi::Number>().Int32Value(), reassemble}});
}

Napi::Value BpfProgram::AttachClsact(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  auto filter = ToClsactFilter(env, info);
  if (!filter) return env.Undefined();
  filter->program = fd;
  return RunInPool(env, std::move(*filter), AttachFilter);
}

}  // namespace margay
