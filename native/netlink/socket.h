#pragma once

#include <linux/filter.h>
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "core/loop_poll.h"
#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** One AF_NETLINK datagram socket on the event loop. Knows nothing of what the messages say. */
class NetlinkSocket : public Napi::ObjectWrap<NetlinkSocket> {
 public:
  static void Export(Napi::Env env, Napi::Object exports);
  explicit NetlinkSocket(const Napi::CallbackInfo& info);
  ~NetlinkSocket() override;

 private:
  struct Options {
    uint32_t protocol = 0;
    std::vector<uint32_t> groups;
    std::string netns;
    uint32_t receive_buffer_bytes = 0;  // 0: the system's default
    std::vector<sock_filter> filter;    // empty: none
    bool strict_dumps = false;
  };
  bool ReadOptions(Napi::Env env, Napi::Value value, Options* options);
  static bool ReadFilter(Napi::Env env, Napi::Value value, Options* options);
  static SysError Configure(int fd, const Options& options);
  static SysError Open(const Options& options, UniqueFd* fd, uint32_t* port_id);

  Napi::Value PortId(const Napi::CallbackInfo& info);
  void Send(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void OnReadable();
  /** Receives one datagram and hands it on. False when there is none, or no more wanted. */
  bool ReceiveOne(Napi::Env env);

  UniqueFd fd_;
  uint32_t port_id_ = 0;
  std::vector<uint8_t> buffer_;
  Napi::FunctionReference on_messages_;
  Napi::FunctionReference on_overrun_;
  std::unique_ptr<Napi::AsyncContext> context_;
  LoopPoll poll_;
};

}  // namespace margay
