#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>

namespace margay {

/**
 * Watches one descriptor for readability on the environment's event loop, and keeps the loop alive
 * while it does. The descriptor must outlive Stop(). Main thread only.
 */
class LoopPoll {
 public:
  /** Called when the descriptor is readable or has an error; may call Stop(). */
  using Callback = std::function<void()>;

  LoopPoll() = default;
  LoopPoll(const LoopPoll&) = delete;
  LoopPoll& operator=(const LoopPoll&) = delete;
  ~LoopPoll() { Stop(); }

  /** 0, or a positive errno. */
  int Start(Napi::Env env, int fd, Callback callback);
  /** Idempotent. The callback is not called again. */
  void Stop();

 private:
  struct Watch;
  Watch* watch_ = nullptr;  // freed by libuv's close callback, after Stop() let go of it
};

/**
 * Calls into JavaScript from the event loop, running microtasks after it. An exception goes to
 * process.on('uncaughtException'), as with any other event.
 */
void CallFromLoop(Napi::Env env, napi_async_context context, Napi::Function function,
                  std::initializer_list<napi_value> arguments);

}  // namespace margay
