#include "bpf/link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>

#include "bpf/program.h"
#include "core/promise_worker.h"

namespace margay {
namespace {

struct Attachment {
  uint32_t ifindex;
  uint32_t type;
};

Attachment AttachmentOf(const bpf_link_info& link_info) {
  if (link_info.type == BPF_LINK_TYPE_TCX) {
    return {link_info.tcx.ifindex, link_info.tcx.attach_type};
  }
  if (link_info.type == BPF_LINK_TYPE_XDP) return {link_info.xdp.ifindex, BPF_XDP};
  return {0, __MAX_BPF_ATTACH_TYPE};
}

}  // namespace

void BpfLink::Export(Napi::Env env, Napi::Object exports) {
  Napi::Function made = DefineClass(env, kName,
                                    {
                                        StaticMethod("openPinned", &BpfLink::OpenPinned),
                                        InstanceMethod("info", &BpfLink::Info),
                                        InstanceMethod("pin", &BpfLink::Pin),
                                        InstanceMethod("update", &BpfLink::Update),
                                        InstanceMethod("detach", &BpfLink::Detach),
                                        InstanceMethod("close", &BpfLink::Close),
                                    });
  AddonState::Of(env)->link_class = Napi::Persistent(made);
  exports.Set(kName, made);
}

Napi::Value BpfLink::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  bpf_link_info link_info = {};
  __u32 size = sizeof link_info;
  if (bpf_link_get_info_by_fd(fd->get(), &link_info, &size) < 0) {
    return Throw(env, {errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)"}), env.Undefined();
  }
  const Attachment attachment = AttachmentOf(link_info);
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", link_info.id);
  result.Set("programId", link_info.prog_id);
  result.Set("ifindex", attachment.ifindex);
  result.Set("attachType", attachment.type);
  return result;
}

void BpfLink::Update(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return;
  BpfProgram* program = BpfProgram::From(env, info[0], "program");
  if (program == nullptr) return;
  SharedFd program_fd = program->OpenFd(env);
  if (program_fd == nullptr) return;
  if (bpf_link_update(fd->get(), program_fd->get(), nullptr) == 0) return;
  Throw(env, {errno, "bpf(BPF_LINK_UPDATE)"});
}

Napi::Value BpfLink::Detach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  SharedFd fd = OpenFd(env);
  if (fd == nullptr) return env.Undefined();
  return RunInPool(env, fd, [](SharedFd& link) {
    if (bpf_link_detach(link->get()) == 0) return SysError{};
    return SysError{errno, "bpf(BPF_LINK_DETACH)"};
  });
}

}  // namespace margay
