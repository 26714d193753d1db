#pragma once

#include <bpf/libbpf.h>
#include <napi.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/sys_error.h"

namespace margay {

/** An ELF object on its way into the kernel. libbpf's is not thread-safe: load() has it alone. */
class BpfObject : public Napi::ObjectWrap<BpfObject> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);
  explicit BpfObject(const Napi::CallbackInfo& info);

 private:
  enum class Phase { kOpen, kLoading, kLoaded, kFailed };
  /** Shared with the loading thread, so that close() may come first. */
  struct Loaded {
    std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object{nullptr, bpf_object__close};
    std::atomic<Phase> phase{Phase::kOpen};
  };

  Napi::Value MapNames(const Napi::CallbackInfo& info);
  Napi::Value ProgramNames(const Napi::CallbackInfo& info);
  void SetMaxEntries(const Napi::CallbackInfo& info);
  void ReuseMap(const Napi::CallbackInfo& info);
  void SetAutoload(const Napi::CallbackInfo& info);
  void SetGlobals(const Napi::CallbackInfo& info);
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);
  Napi::Value Program(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  /** False, with ERR_CLOSED pending, after close(). */
  bool CheckNotClosed(Napi::Env env) const;
  /** libbpf's object in that phase; null, with ERR_CLOSED or ERR_STATE pending, in another. */
  bpf_object* In(Napi::Env env, Phase phase) const;
  bpf_map* FindMap(Napi::Env env, Phase phase, Napi::Value name) const;
  bpf_program* FindProgram(Napi::Env env, Phase phase, Napi::Value name) const;

  std::shared_ptr<Loaded> loaded_;
  /** Maps that were given to us, by the names they have in the object. */
  std::vector<std::pair<std::string, bpf_map*>> reused_;
};

}  // namespace margay
