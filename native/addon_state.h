#pragma once

#include <napi.h>

#include "core/unique_fd.h"

namespace margay {

/** All that would otherwise be global: one for each environment (main thread or Worker). */
struct AddonState {
  Napi::FunctionReference map_class;
  Napi::FunctionReference program_class;
  Napi::FunctionReference link_class;
  /** The descriptor for the handle under construction; who else calls a constructor finds none. */
  SharedFd incoming;
  /** Namespace of the running inNetns(), null outside of one. */
  SharedFd netns;

  static AddonState* Of(Napi::Env env) { return env.GetInstanceData<AddonState>(); }
};

}  // namespace margay
