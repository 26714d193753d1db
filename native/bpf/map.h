#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include "bpf/handle.h"

namespace margay {

/** Sizes of a map's entries as they cross the system call. */
struct MapShape {
  uint32_t type = 0;
  uint32_t key_size = 0;
  uint32_t value_size = 0;
  uint32_t max_entries = 0;
  /** Bytes of one value in lookups and updates: per-CPU maps have one for each possible CPU. */
  size_t value_bytes = 0;
};

/** A BPF map. */
class BpfMap : public Handle<BpfMap> {
 public:
  static constexpr const char* kName = "BpfMap";
  static constexpr const char* kInode = "bpf-map";
  static constexpr napi_type_tag kTag = {0x6d61726761790001, 0x9d1c5a4e7b3f4a21};
  static Napi::FunctionReference& Class(AddonState* state) { return state->map_class; }
  static void Export(Napi::Env env, Napi::Object exports);

  explicit BpfMap(const Napi::CallbackInfo& info) : Handle(info) {}
  SysError Adopted();

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value Mmap(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value NextKey(const Napi::CallbackInfo& info);
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info);
  Napi::Value DeleteBatch(const Napi::CallbackInfo& info);
  Napi::Value ReadAll(const Napi::CallbackInfo& info);

  MapShape shape_;
};

}  // namespace margay
