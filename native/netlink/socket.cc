#include "netlink/socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "core/args.h"
#include "netns/enter.h"

namespace margay {
namespace {

/** The kernel fills dumps into 32 KiB at most; a single larger object grows the buffer. */
constexpr size_t kReceiveBytes = 64 * 1024;
/** Batches of requests (an IP set, a table of routes) go in one datagram of up to this size. */
constexpr int kSendBufferBytes = 8 * 1024 * 1024;
/** Between two looks at the rest of the event loop. */
constexpr int kDatagramsPerTurn = 64;

SysError SetOption(int fd, int level, int option, int value, const char* what) {
  if (setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  return SysError{errno, what};
}

/** Beyond the system's limit where we may, within it where not. */
SysError SetBuffer(int fd, int force, int plain, int bytes, const char* what) {
  if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) == 0) return {};
  return SetOption(fd, SOL_SOCKET, plain, bytes, what);
}

}  // namespace

void NetlinkSocket::Export(Napi::Env env, Napi::Object exports) {
  exports.Set("NetlinkSocket",
              DefineClass(env, "NetlinkSocket",
                          {
                              InstanceAccessor("portId", &NetlinkSocket::PortId, nullptr),
                              InstanceMethod("send", &NetlinkSocket::Send),
                              InstanceMethod("close", &NetlinkSocket::Close),
                          }));
}

NetlinkSocket::NetlinkSocket(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<NetlinkSocket>(info) {
  Napi::Env env = info.Env();
  Options options;
  if (!ReadOptions(env, info[0], &options)) return;
  if (SysError error = Open(options, &fd_, &port_id_)) {
    Throw(env, error);
    return;
  }
  buffer_.resize(kReceiveBytes);
  context_ = std::make_unique<Napi::AsyncContext>(env, "margay.NetlinkSocket");
  const int failed = poll_.Start(env, fd_.get(), [this] { OnReadable(); });
  if (failed != 0) {
    fd_ = UniqueFd();
    Throw(env, {failed, "uv_poll_start"});
    return;
  }
  Ref();  // while open, the event loop holds it
}

NetlinkSocket::~NetlinkSocket() { poll_.Stop(); }

bool NetlinkSocket::ReadOptions(Napi::Env env, Napi::Value value, Options* options) {
  if (!value.IsObject()) return ThrowType(env, "options must be an object"), false;
  auto given = value.As<Napi::Object>();
  auto protocol = ToU32(env, given.Get("protocol"), "protocol");
  if (!protocol) return false;
  options->protocol = *protocol;

  Napi::Value groups = given.Get("groups");
  if (!groups.IsUndefined()) {
    if (!groups.IsArray()) return ThrowType(env, "groups must be an array"), false;
    auto array = groups.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i) {
      auto group = ToU32(env, array.Get(i), "group");
      if (!group) return false;
      options->groups.push_back(*group);
    }
  }
  Napi::Value netns = given.Get("netns");
  if (!netns.IsUndefined()) {
    auto path = ToText(env, netns, "netns");
    if (!path) return false;
    options->netns = *path;
  }
  auto bytes = ToU32Or(env, given.Get("receiveBufferBytes"), "receiveBufferBytes", 0);
  if (!bytes) return false;
  if (*bytes > INT32_MAX) return ThrowType(env, "receiveBufferBytes is too large"), false;
  options->receive_buffer_bytes = *bytes;
  if (!ReadFilter(env, given.Get("filter"), options)) return false;
  options->strict_dumps = given.Get("strictDumps").ToBoolean();

  auto on_messages = ToFunction(env, given.Get("onMessages"), "onMessages");
  if (!on_messages) return false;
  auto on_overrun = ToFunction(env, given.Get("onOverrun"), "onOverrun");
  if (!on_overrun) return false;
  on_messages_ = Napi::Persistent(*on_messages);
  on_overrun_ = Napi::Persistent(*on_overrun);
  return true;
}

bool NetlinkSocket::ReadFilter(Napi::Env env, Napi::Value value, Options* options) {
  if (value.IsUndefined()) return true;
  auto bytes = ToBytes(env, value, "filter");
  if (!bytes) return false;
  if (bytes->size == 0 || bytes->size % sizeof(sock_filter) != 0 ||
      bytes->size / sizeof(sock_filter) > BPF_MAXINSNS)
    return ThrowType(env, "filter must be whole instructions of classic BPF"), false;
  options->filter.resize(bytes->size / sizeof(sock_filter));
  memcpy(options->filter.data(), bytes->data, bytes->size);
  return true;
}

SysError NetlinkSocket::Configure(int fd, const Options& options) {
  SysError error = SetOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1, "setsockopt(NETLINK_EXT_ACK)");
  if (error) return error;
  error = SetOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1, "setsockopt(NETLINK_CAP_ACK)");
  if (error) return error;
  // Kernels before 4.20 do not know it, and send whole tables.
  if (options.strict_dumps)
    SetOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1, "setsockopt(NETLINK_GET_STRICT_CHK)");
  if (!options.filter.empty()) {
    sock_fprog program = {static_cast<unsigned short>(options.filter.size()),
                          const_cast<sock_filter*>(options.filter.data())};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
      return {errno, "setsockopt(SO_ATTACH_FILTER)"};
  }
  error = SetBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kSendBufferBytes, "setsockopt(SO_SNDBUF)");
  if (error || options.receive_buffer_bytes == 0) return error;
  return SetBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, static_cast<int>(options.receive_buffer_bytes),
                   "setsockopt(SO_RCVBUF)");
}

SysError NetlinkSocket::Open(const Options& options, UniqueFd* out, uint32_t* port_id) {
  SysError error;
  SharedFd netns;
  if (!options.netns.empty()) netns = OpenNetns(options.netns, &error);
  if (error) return error;
  UniqueFd fd;
  {
    ScopedNetns inside(netns);
    if (inside.error()) return inside.error();
    fd = UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                         static_cast<int>(options.protocol)));
    if (!fd) error = SysError{errno, "socket(AF_NETLINK)"};
  }
  if (error) return error;
  if ((error = Configure(fd.get(), options))) return error;
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  auto* any_address = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), any_address, sizeof address) < 0) return {errno, "bind"};
  socklen_t length = sizeof address;
  if (getsockname(fd.get(), any_address, &length) < 0) return {errno, "getsockname"};
  for (const uint32_t group : options.groups) {
    error = SetOption(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, static_cast<int>(group),
                      "setsockopt(NETLINK_ADD_MEMBERSHIP)");
    if (error) return error;
  }
  *port_id = address.nl_pid;
  *out = std::move(fd);
  return {};
}

Napi::Value NetlinkSocket::PortId(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), port_id_);
}

void NetlinkSocket::Send(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!fd_) return ThrowCoded(env, "ERR_CLOSED", "NetlinkSocket is closed");
  auto messages = ToBytes(env, info[0], "messages");
  if (!messages) return;
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = sendto(fd_.get(), messages->data, messages->size, 0,
                  reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) Throw(env, {errno, "sendto"});
}

void NetlinkSocket::Close(const Napi::CallbackInfo&) {
  if (!fd_) return;
  poll_.Stop();
  fd_ = UniqueFd();
  on_messages_.Reset();
  on_overrun_.Reset();
  Unref();
}

void NetlinkSocket::OnReadable() {
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  [[maybe_unused]] const Napi::Object keep_alive = Value();
  for (int i = 0; i < kDatagramsPerTurn && ReceiveOne(env); ++i) continue;
}

bool NetlinkSocket::ReceiveOne(Napi::Env env) {
  Napi::HandleScope scope(env);
  sockaddr_nl from = {};
  socklen_t from_length = sizeof from;
  const ssize_t size = recvfrom(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC,
                                reinterpret_cast<sockaddr*>(&from), &from_length);
  const int err = size < 0 ? errno : 0;
  if (err == EAGAIN) return false;
  if (err == EINTR) return true;
  const bool truncated = size > static_cast<ssize_t>(buffer_.size());
  if (truncated) buffer_.resize(static_cast<size_t>(size) * 2);
  if (err != 0 || truncated) {
    CallFromLoop(env, *context_, on_overrun_.Value(), {});
  } else if (from.nl_pid == 0) {  // other processes may send to us too: only the kernel is heard
    CallFromLoop(env, *context_, on_messages_.Value(), {FromBytes(env, buffer_.data(), size)});
  }
  return static_cast<bool>(fd_);
}

}  // namespace margay
