#pragma once

#include <napi.h>

#include "bpf/handle.h"

namespace margay {

/** A loaded BPF program. */
class BpfProgram : public Handle<BpfProgram> {
 public:
  static constexpr const char* kName = "BpfProgram";
  static constexpr const char* kInode = "bpf-prog";
  static constexpr napi_type_tag kTag = {0x6d61726761790002, 0x4e8f0b6a52c94d13};
  static Napi::FunctionReference& Class(AddonState* state) { return state->program_class; }
  static void Export(Napi::Env env, Napi::Object exports);

  explicit BpfProgram(const Napi::CallbackInfo& info) : Handle(info) {}
  SysError Adopted();

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);
  Napi::Value TestRunSync(const Napi::CallbackInfo& info);
  Napi::Value AttachTcx(const Napi::CallbackInfo& info);
  Napi::Value AttachXdp(const Napi::CallbackInfo& info);
  Napi::Value AttachNetfilter(const Napi::CallbackInfo& info);
  Napi::Value AttachClsact(const Napi::CallbackInfo& info);

  uint32_t type_ = 0;
};

}  // namespace margay
