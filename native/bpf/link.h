#pragma once

#include <napi.h>

#include "bpf/handle.h"

namespace margay {

/** A program's attachment, which ends with its last descriptor or pin. */
class BpfLink : public Handle<BpfLink> {
 public:
  static constexpr const char* kName = "BpfLink";
  static constexpr const char* kInode = "bpf-link";
  static constexpr napi_type_tag kTag = {0x6d61726761790003, 0x7a1d93c8e06b4f52};
  static Napi::FunctionReference& Class(AddonState* state) { return state->link_class; }
  static void Export(Napi::Env env, Napi::Object exports);

  explicit BpfLink(const Napi::CallbackInfo& info) : Handle(info) {}
  SysError Adopted() { return {}; }

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Detach(const Napi::CallbackInfo& info);
};

}  // namespace margay
