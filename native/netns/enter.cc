#include "netns/enter.h"

#include <errno.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "addon_state.h"
#include "core/args.h"

namespace margay {

SharedFd OpenNetns(const std::string& path, SysError* error) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd) return Share(std::move(fd));
  *error = SysError{errno, "open(netns)"};
  return nullptr;
}

ScopedNetns::ScopedNetns(const SharedFd& netns) {
  if (netns == nullptr) return;
  UniqueFd home(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) {
    error_ = SysError{errno, "open(/proc/thread-self/ns/net)"};
    return;
  }
  if (setns(netns->get(), CLONE_NEWNET) < 0) {
    error_ = SysError{errno, "setns(CLONE_NEWNET)"};
    return;
  }
  home_ = std::move(home);
}

ScopedNetns::~ScopedNetns() {
  if (!home_ || setns(home_.get(), CLONE_NEWNET) == 0) return;
  perror("margay: cannot return to the original network namespace: setns");
  abort();
}

Napi::Value InNetns(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto path = ToText(env, info[0], "path");
  if (!path) return env.Undefined();
  auto body = ToFunction(env, info[1], "body");
  if (!body) return env.Undefined();
  SysError error;
  SharedFd netns = OpenNetns(*path, &error);
  if (error) return Throw(env, error), env.Undefined();

  ScopedNetns inside(netns);
  if (inside.error()) return Throw(env, inside.error()), env.Undefined();
  // Calls on pool threads that `body` starts belong to this namespace too.
  AddonState* state = AddonState::Of(env);
  SharedFd outer = std::exchange(state->netns, netns);
  Napi::Value result = body->Call({});  // an exception stays pending and is thrown on return
  state->netns = std::move(outer);
  return result;
}

}  // namespace margay
