#include "core/loop_poll.h"

#include <errno.h>

namespace margay {

/** Outlives the LoopPoll until libuv has closed it, so that a callback may stop its own watch. */
struct LoopPoll::Watch {
  uv_poll_t poll;
  Callback callback;
  bool stopped = false;

  static void OnEvent(uv_poll_t* poll, int status, int) {
    auto* watch = static_cast<Watch*>(poll->data);
    if (watch->stopped) return;
    watch->callback();
    // libuv stops watching after POLLERR, which is how a netlink socket reports an overrun: go on.
    if (status < 0 && !watch->stopped) uv_poll_start(poll, UV_READABLE, OnEvent);
  }
};

int LoopPoll::Start(Napi::Env env, int fd, Callback callback) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return ENOTSUP;
  auto* watch = new Watch{{}, std::move(callback)};
  const int initialised = uv_poll_init(loop, &watch->poll, fd);
  if (initialised < 0) {
    delete watch;
    return -initialised;
  }
  watch->poll.data = watch;
  watch_ = watch;
  const int started = uv_poll_start(&watch->poll, UV_READABLE, Watch::OnEvent);
  if (started < 0) Stop();
  return started < 0 ? -started : 0;
}

void LoopPoll::Stop() {
  if (watch_ == nullptr) return;
  Watch* watch = watch_;
  watch_ = nullptr;
  watch->stopped = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* closed) {
    delete static_cast<Watch*>(closed->data);
  });
}

void CallFromLoop(Napi::Env env, napi_async_context context, Napi::Function function,
                  std::initializer_list<napi_value> arguments) {
  napi_value result;
  const napi_status status = napi_make_callback(env, context, env.Global(), function,
                                                arguments.size(), arguments.begin(), &result);
  if (status != napi_pending_exception) return;
  napi_value exception;
  napi_get_and_clear_last_exception(env, &exception);
  napi_fatal_exception(env, exception);
}

}  // namespace margay
