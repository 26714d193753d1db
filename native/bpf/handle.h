#pragma once

#include <napi.h>

#include <optional>
#include <string>

#include "addon_state.h"
#include "core/args.h"
#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** Pins the object behind `fd` at `path`. */
SysError PinAt(int fd, const std::string& path);
/** Opens what is pinned at `path`; EINVAL unless it is a 'bpf-map', 'bpf-prog', 'bpf-link'. */
UniqueFd OpenPinnedAt(const std::string& path, const char* kind, SysError* error);

/**
 * What map, program and link handles share: one descriptor, a class that only we construct, pin()
 * and close(). Self provides Class(state), kName, kTag, kInode, and Adopted(), which reads the
 * object's info.
 */
template <typename Self>
class Handle : public Napi::ObjectWrap<Self> {
 public:
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {
    SharedFd incoming = std::exchange(AddonState::Of(info.Env())->incoming, nullptr);
    if (incoming == nullptr) {
      ThrowType(info.Env(), std::string(Self::kName) + " has no public constructor");
      return;
    }
    info.This().template As<Napi::Object>().TypeTag(&Self::kTag);
    fd_ = std::move(incoming);
  }

  /** A new JavaScript handle. Undefined, with an exception pending, when its info is refused. */
  static Napi::Value Make(Napi::Env env, UniqueFd fd) {
    AddonState* state = AddonState::Of(env);
    state->incoming = Share(std::move(fd));
    Napi::Object made = Self::Class(state).New({});
    state->incoming = nullptr;
    if (env.IsExceptionPending()) return env.Undefined();
    if (SysError error = Self::Unwrap(made)->Adopted()) {
      Throw(env, error);
      return env.Undefined();
    }
    return made;
  }

  static Napi::Value OpenPinned(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto path = ToText(env, info[0], "path");
    if (!path) return env.Undefined();
    SysError error;
    UniqueFd fd = OpenPinnedAt(*path, Self::kInode, &error);
    if (error) return Throw(env, error), env.Undefined();
    return Make(env, std::move(fd));
  }

  /** The handle behind an argument; null, with a TypeError pending, when it is something else. */
  static Self* From(Napi::Env env, Napi::Value value, const char* name) {
    if (value.IsObject() && value.As<Napi::Object>().CheckTypeTag(&Self::kTag)) {
      return Self::Unwrap(value.As<Napi::Object>());
    }
    ThrowType(env, std::string(name) + " must be a " + Self::kName);
    return nullptr;
  }

  /** The descriptor; null, with ERR_CLOSED pending, after close(). */
  SharedFd OpenFd(Napi::Env env) const {
    if (fd_ == nullptr) ThrowCoded(env, "ERR_CLOSED", std::string(Self::kName) + " is closed");
    return fd_;
  }

  void Pin(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    SharedFd fd = OpenFd(env);
    if (fd == nullptr) return;
    auto path = ToText(env, info[0], "path");
    if (!path) return;
    if (SysError error = PinAt(fd->get(), *path)) Throw(env, error);
  }

  Napi::Value Fd(const Napi::CallbackInfo& info) {
    SharedFd fd = OpenFd(info.Env());
    return fd == nullptr ? info.Env().Undefined() : Napi::Number::New(info.Env(), fd->get());
  }

  void Close(const Napi::CallbackInfo&) { fd_ = nullptr; }

 protected:
  SharedFd fd_;
};

}  // namespace margay
