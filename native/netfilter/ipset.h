#pragma once

#include <napi.h>

#include <memory>

#include "netfilter/ipset_client.h"

namespace margay {

/** The kernel's IP sets, off the main thread. Knows the wire format, not what the sets are for. */
class IpsetSocket : public Napi::ObjectWrap<IpsetSocket> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);
  explicit IpsetSocket(const Napi::CallbackInfo& info);

 private:
  Napi::Value Create(const Napi::CallbackInfo& info);
  Napi::Value Destroy(const Napi::CallbackInfo& info);
  Napi::Value Swap(const Napi::CallbackInfo& info);
  Napi::Value Add(const Napi::CallbackInfo& info);
  Napi::Value Remove(const Napi::CallbackInfo& info);
  Napi::Value Change(const Napi::CallbackInfo& info, bool add);
  Napi::Value Headers(const Napi::CallbackInfo& info);
  Napi::Value Members(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  /** Null, with an exception pending, once closed. */
  std::shared_ptr<IpsetClient> Client(Napi::Env env);

  std::shared_ptr<IpsetClient> client_;
};

}  // namespace margay
