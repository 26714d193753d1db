#include "bpf/bpffs.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <string>

#include "core/args.h"
#include "core/sys_error.h"

namespace margay {
namespace {

SysError CheckBpffs(const std::string& path, bool* is_bpffs) {
  struct statfs status;
  *is_bpffs = false;
  if (statfs(path.c_str(), &status) == 0) {
    *is_bpffs = static_cast<uint32_t>(status.f_type) == BPF_FS_MAGIC;
    return {};
  }
  const int err = errno;
  return err == ENOENT ? SysError{} : SysError{err, "statfs"};
}

}  // namespace

Napi::Value IsBpffs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto path = ToText(env, info[0], "path");
  if (!path) return env.Undefined();
  bool is_bpffs = false;
  if (SysError error = CheckBpffs(*path, &is_bpffs)) return Throw(env, error), env.Undefined();
  return Napi::Boolean::New(env, is_bpffs);
}

Napi::Value MountBpffs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto path = ToText(env, info[0], "path");
  if (!path) return env.Undefined();
  bool is_bpffs = false;
  if (SysError error = CheckBpffs(*path, &is_bpffs)) return Throw(env, error), env.Undefined();
  if (is_bpffs) return Napi::Boolean::New(env, false);
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("bpf", path->c_str(), "bpf", flags, "mode=0700") < 0) {
    return Throw(env, {errno, "mount(bpf)"}), env.Undefined();
  }
  return Napi::Boolean::New(env, true);
}

}  // namespace margay
