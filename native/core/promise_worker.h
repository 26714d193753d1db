#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "core/sys_error.h"

namespace margay {

/**
 * Runs `work(state)` on a pool thread and settles a promise on the main thread: with
 * `done(env, state)`, or with the error that `work` returned. `work` sees no JavaScript value.
 */
template <typename State, typename Work, typename Done>
class PromiseWorker final : public Napi::AsyncWorker {
 public:
  PromiseWorker(Napi::Env env, State state, Work work, Done done)
      : Napi::AsyncWorker(env, "margay"),
        deferred_(Napi::Promise::Deferred::New(env)),
        state_(std::move(state)),
        work_(std::move(work)),
        done_(std::move(done)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

  void Execute() override { error_ = work_(state_); }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(ToError(Env(), error_).Value());
    } else {
      deferred_.Resolve(done_(Env(), state_));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  State state_;
  Work work_;
  Done done_;
  SysError error_;
};

template <typename State, typename Work, typename Done>
Napi::Value RunInPool(Napi::Env env, State state, Work work, Done done) {
  auto* worker = new PromiseWorker<State, Work, Done>(env, std::move(state), std::move(work),
                                                      std::move(done));
  const Napi::Promise promise = worker->Promise();
  worker->Queue();  // deletes itself once settled
  return promise;
}

/** The same for work without a result. */
template <typename State, typename Work>
Napi::Value RunInPool(Napi::Env env, State state, Work work) {
  return RunInPool(env, std::move(state), std::move(work),
                   [](Napi::Env done_env, State&) { return done_env.Undefined(); });
}

}  // namespace margay
