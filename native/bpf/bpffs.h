#pragma once

#include <napi.h>

namespace margay {

/** mountBpffs(path), isBpffs(path). */
Napi::Value MountBpffs(const Napi::CallbackInfo& info);
Napi::Value IsBpffs(const Napi::CallbackInfo& info);

}  // namespace margay
