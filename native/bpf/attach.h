#pragma once

#include <linux/bpf.h>
#include <napi.h>

#include <optional>

#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** A place in the order of a netfilter hook's functions; lower priorities run first. */
struct NetfilterHook {
  uint32_t family = 0;  // NFPROTO_*
  uint32_t number = 0;  // NF_INET_*
  int32_t priority = 0;
  bool reassemble = false;  // datagrams come whole: Linux 6.6
};

/** A program to be linked to a device, or to a hook of the stack. For a pool thread. */
struct LinkRequest {
  SharedFd program;
  SharedFd netns;  // null: the thread's own
  uint32_t ifindex = 0;
  bpf_attach_type type = BPF_TCX_INGRESS;
  NetfilterHook hook = {};  // BPF_NETFILTER only
  UniqueFd link = {};  // out
};
/** Behind the links that are there already: others on the device keep their places. */
SysError CreateLink(LinkRequest& request);

/** A cls_bpf filter with handle 1 at a fixed priority. For a pool thread. */
struct ClsactFilter {
  SharedFd program;  // null when detaching
  SharedFd netns;
  uint32_t ifindex = 0;
  bool is_ingress = true;
  uint32_t priority = 0;
};
/** From (ifindex, direction, priority). Nothing, with a TypeError pending, when wrong. */
std::optional<ClsactFilter> ToClsactFilter(Napi::Env env, const Napi::CallbackInfo& info);
/** Creates the qdisc if missing, then creates or replaces the filter. */
SysError AttachFilter(ClsactFilter& filter);

/** detachClsact(ifindex, direction, priority): leaves the qdisc, which others may use. */
Napi::Value DetachClsact(const Napi::CallbackInfo& info);

}  // namespace margay
