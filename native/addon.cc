#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <napi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon_state.h"
#include "bpf/attach.h"
#include "bpf/bpffs.h"
#include "bpf/link.h"
#include "bpf/map.h"
#include "bpf/object.h"
#include "bpf/program.h"
#include "bpf/ring_buffer.h"
#include "core/promise_worker.h"
#include "core/sys_error.h"
#include "netfilter/ipset.h"
#include "netlink/socket.h"
#include "netns/enter.h"

namespace margay {
namespace {

Napi::Value BuildInfo(const Napi::CallbackInfo& info) {
  Napi::Object result = Napi::Object::New(info.Env());
#ifdef MARGAY_LIBBPF_VERSION
  result.Set("libbpf", MARGAY_LIBBPF_VERSION);
  result.Set("linkage", "static");
#else
  result.Set("libbpf", libbpf_version_string() + 1);  // after the 'v'
  result.Set("linkage", "dynamic");
#endif
  result.Set("napi", NAPI_VERSION);
  return result;
}

Napi::Value GracePeriod(const Napi::CallbackInfo& info) {
  struct Nothing {};
  return RunInPool(info.Env(), Nothing{}, [](Nothing&) {
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return SysError{};
    return SysError{errno, "membarrier(MEMBARRIER_CMD_GLOBAL)"};
  });
}

Napi::Value PossibleCpus(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return Throw(env, {-cpus, "libbpf_num_possible_cpus"}), env.Undefined();
  return Napi::Number::New(env, cpus);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonState);
  LibbpfLog::Install();
  BpfObject::Export(env, exports);
  BpfMap::Export(env, exports);
  BpfProgram::Export(env, exports);
  BpfLink::Export(env, exports);
  RingBuffer::Export(env, exports);
  NetlinkSocket::Export(env, exports);
  IpsetSocket::Export(env, exports);
  exports.Set("buildInfo", Napi::Function::New(env, BuildInfo, "buildInfo"));
  exports.Set("detachClsact", Napi::Function::New(env, DetachClsact, "detachClsact"));
  exports.Set("inNetns", Napi::Function::New(env, InNetns, "inNetns"));
  exports.Set("mountBpffs", Napi::Function::New(env, MountBpffs, "mountBpffs"));
  exports.Set("isBpffs", Napi::Function::New(env, IsBpffs, "isBpffs"));
  exports.Set("gracePeriod", Napi::Function::New(env, GracePeriod, "gracePeriod"));
  exports.Set("possibleCpus", Napi::Function::New(env, PossibleCpus, "possibleCpus"));
  return exports;
}

}  // namespace
}  // namespace margay

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return margay::Init(env, exports);
}
NODE_API_MODULE(margay_native, InitAddon)
