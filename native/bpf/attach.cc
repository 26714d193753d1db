#include "bpf/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "addon_state.h"
#include "core/args.h"
#include "core/promise_worker.h"
#include "netns/enter.h"

namespace margay {
namespace {

constexpr uint32_t kFilterHandle = 1;
constexpr uint32_t kPriorityMax = 0xffff;

bpf_tc_hook HookOf(const ClsactFilter& filter) {
  bpf_tc_hook hook = {};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(filter.ifindex);
  hook.attach_point = filter.is_ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts OptionsOf(const ClsactFilter& filter) {
  bpf_tc_opts options = {};
  options.sz = sizeof options;
  options.handle = kFilterHandle;
  options.priority = filter.priority;
  return options;
}

SysError DetachFilter(ClsactFilter& filter) {
  ScopedNetns inside(filter.netns);
  if (inside.error()) return inside.error();
  LibbpfLog log;
  bpf_tc_hook hook = HookOf(filter);
  bpf_tc_opts options = OptionsOf(filter);
  const int result = bpf_tc_detach(&hook, &options);
  return result == 0 ? SysError{} : SysError{-result, "netlink(RTM_DELTFILTER)", log.Take()};
}

}  // namespace

SysError CreateLink(LinkRequest& request) {
  ScopedNetns inside(request.netns);
  if (inside.error()) return inside.error();
  LIBBPF_OPTS(bpf_link_create_opts, options);
  const bool is_hook = request.type == BPF_NETFILTER;
  if (is_hook) {
    options.netfilter.pf = request.hook.family;
    options.netfilter.hooknum = request.hook.number;
    options.netfilter.priority = request.hook.priority;
    options.netfilter.flags = request.hook.reassemble ? BPF_F_NETFILTER_IP_DEFRAG : 0;
  }
  const int fd = bpf_link_create(request.program->get(), static_cast<int>(request.ifindex),
                                 request.type, is_hook ? &options : nullptr);
  if (fd < 0) return SysError{errno, "bpf(BPF_LINK_CREATE)"};
  request.link = UniqueFd(fd);
  return {};
}

std::optional<ClsactFilter> ToClsactFilter(Napi::Env env, const Napi::CallbackInfo& info) {
  auto ifindex = ToU32(env, info[0], "ifindex");
  if (!ifindex) return std::nullopt;
  auto is_ingress = ToIsIngress(env, info[1]);
  if (!is_ingress) return std::nullopt;
  auto priority = ToU32(env, info[2], "priority");
  if (!priority) return std::nullopt;
  if (*priority == 0 || *priority > kPriorityMax) {
    ThrowType(env, "priority must be from 1 to 65535");
    return std::nullopt;
  }
  return ClsactFilter{nullptr, AddonState::Of(env)->netns, *ifindex, *is_ingress, *priority};
}

SysError AttachFilter(ClsactFilter& filter) {
  ScopedNetns inside(filter.netns);
  if (inside.error()) return inside.error();
  LibbpfLog log;
  bpf_tc_hook hook = HookOf(filter);
  const int created = bpf_tc_hook_create(&hook);
  if (created < 0 && created != -EEXIST) {
    return SysError{-created, "netlink(RTM_NEWQDISC)", log.Take()};
  }
  bpf_tc_opts options = OptionsOf(filter);
  options.prog_fd = filter.program->get();
  options.flags = BPF_TC_F_REPLACE;
  const int attached = bpf_tc_attach(&hook, &options);
  return attached == 0 ? SysError{} : SysError{-attached, "netlink(RTM_NEWTFILTER)", log.Take()};
}

Napi::Value DetachClsact(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto filter = ToClsactFilter(env, info);
  if (!filter) return env.Undefined();
  return RunInPool(env, std::move(*filter), DetachFilter);
}

}  // namespace margay
