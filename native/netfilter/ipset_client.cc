#include "netfilter/ipset_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>

#include "netns/enter.h"

namespace margay {
namespace {

constexpr size_t kReceiveBytes = 256 * 1024;
constexpr int kSendBufferBytes = 1024 * 1024;
/** A nested attribute's length is 16 bits wide. */
constexpr size_t kMembersBytesMax = 60 * 1024;
constexpr time_t kAnswerSeconds = 10;
/** Of hash types: the kernel's own word for "no room" lies in the range private to a type. */
constexpr int kHashFull = IPSET_ERR_TYPE_SPECIFIC;

/** ipset's private numbers as the system's, so that callers know them by name. */
int SystemNumber(int err) {
  switch (err) {
    case IPSET_ERR_BUSY:
    case IPSET_ERR_REFERENCED:
      return EBUSY;
    case IPSET_ERR_EXIST:
    case IPSET_ERR_EXIST_SETNAME2:
      return EEXIST;
    case IPSET_ERR_FIND_TYPE:
      return EOPNOTSUPP;
    case IPSET_ERR_MAX_SETS:
      return ENFILE;
    case kHashFull:
      return ENOSPC;
    default:
      return err >= IPSET_ERR_PRIVATE ? EINVAL : err;
  }
}

SysError Failure(int err, const char* what) {
  SysError error{SystemNumber(err), what};
  if (err >= IPSET_ERR_PRIVATE) error.log = "ipset error " + std::to_string(err);
  return error;
}

const nlattr* NextAttribute(const nlattr* attribute) {
  return reinterpret_cast<const nlattr*>(reinterpret_cast<const uint8_t*>(attribute) +
                                         NLA_ALIGN(attribute->nla_len));
}

const uint8_t* Payload(const nlattr* attribute) {
  return reinterpret_cast<const uint8_t*>(attribute) + NLA_HDRLEN;
}

size_t PayloadSize(const nlattr* attribute) { return attribute->nla_len - NLA_HDRLEN; }

/** Calls `visit(type, attribute)` for each attribute in [data, data + size); stops at a bad length. */
template <typename Visit>
void ForEachAttribute(const uint8_t* data, size_t size, Visit visit) {
  const uint8_t* end = data + size;
  auto* attribute = reinterpret_cast<const nlattr*>(data);
  while (reinterpret_cast<const uint8_t*>(attribute) + NLA_HDRLEN <= end) {
    const uint8_t* start = reinterpret_cast<const uint8_t*>(attribute);
    if (attribute->nla_len < NLA_HDRLEN || start + attribute->nla_len > end) return;
    visit(attribute->nla_type & NLA_TYPE_MASK, attribute);
    attribute = NextAttribute(attribute);
  }
}

std::string Text(const nlattr* attribute) {
  auto* text = reinterpret_cast<const char*>(Payload(attribute));
  return std::string(text, strnlen(text, PayloadSize(attribute)));
}

uint16_t Port(const nlattr* attribute) {
  uint16_t port = 0;
  if (PayloadSize(attribute) >= sizeof port) memcpy(&port, Payload(attribute), sizeof port);
  return ntohs(port);
}

void ReadAddress(const nlattr* ip, IpsetMember* member) {
  ForEachAttribute(Payload(ip), PayloadSize(ip), [&](int type, const nlattr* address) {
    const size_t bytes = type == IPSET_ATTR_IPADDR_IPV4 ? 4 : 16;
    if (PayloadSize(address) < bytes) return;
    member->family = bytes == 4 ? 4 : 6;
    member->prefix = static_cast<uint8_t>(bytes * 8);
    memcpy(member->address, Payload(address), bytes);
  });
}

IpsetMember ReadMember(const nlattr* data) {
  IpsetMember member = {};
  int prefix = -1;
  ForEachAttribute(Payload(data), PayloadSize(data), [&](int type, const nlattr* attribute) {
    if (PayloadSize(attribute) == 0) return;
    switch (type) {
      case IPSET_ATTR_IP:
        return ReadAddress(attribute, &member);
      case IPSET_ATTR_CIDR:
        prefix = *Payload(attribute);
        return;
      case IPSET_ATTR_PROTO:
        member.protocol = *Payload(attribute);
        return;
      case IPSET_ATTR_PORT:
        member.port = member.port_to = Port(attribute);
        return;
      case IPSET_ATTR_IFACE: {
        const std::string name = Text(attribute);
        memcpy(member.interface_name, name.data(),
               std::min(name.size(), sizeof member.interface_name - 1));
        return;
      }
      case IPSET_ATTR_CADT_FLAGS: {
        uint32_t flags = 0;
        if (PayloadSize(attribute) < sizeof flags) return;
        memcpy(&flags, Payload(attribute), sizeof flags);
        member.no_match = (ntohl(flags) & IPSET_FLAG_NOMATCH) != 0;
        return;
      }
      default:
        return;
    }
  });
  if (prefix >= 0) member.prefix = static_cast<uint8_t>(prefix);
  return member;
}

}  // namespace

/** A request under construction. */
class IpsetClient::Message {
 public:
  Message(ipset_cmd command, uint16_t flags) {
    bytes_.reserve(512);
    nlmsghdr header = {};
    header.nlmsg_type = static_cast<uint16_t>((NFNL_SUBSYS_IPSET << 8) | command);
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    Append(&header, sizeof header);
    nfgenmsg netfilter = {};
    netfilter.nfgen_family = AF_INET;
    netfilter.version = NFNETLINK_V0;
    Append(&netfilter, sizeof netfilter);
    U8(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
  }

  void U8(uint16_t type, uint8_t value) { Attribute(type, &value, sizeof value); }
  void U16(uint16_t type, uint16_t value) {
    const uint16_t network = htons(value);
    Attribute(type | NLA_F_NET_BYTEORDER, &network, sizeof network);
  }
  void U32(uint16_t type, uint32_t value) {
    const uint32_t network = htonl(value);
    Attribute(type | NLA_F_NET_BYTEORDER, &network, sizeof network);
  }
  void Text(uint16_t type, const std::string& text) {
    Attribute(type, text.c_str(), text.size() + 1);
  }

  size_t Begin(uint16_t type) {
    const size_t at = bytes_.size();
    const nlattr header = {0, static_cast<uint16_t>(type | NLA_F_NESTED)};
    Append(&header, sizeof header);
    return at;
  }
  void End(size_t at) {
    const auto length = static_cast<uint16_t>(bytes_.size() - at);
    memcpy(bytes_.data() + at, &length, sizeof length);
  }

  void Member(const IpsetMember& member, uint32_t index) {
    const size_t data = Begin(IPSET_ATTR_DATA);
    if (member.family != 0) {
      const size_t ip = Begin(IPSET_ATTR_IP);
      const bool is_ipv4 = member.family == 4;
      const uint16_t type = is_ipv4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6;
      Attribute(type | NLA_F_NET_BYTEORDER, member.address, is_ipv4 ? 4 : 16);
      End(ip);
      U8(IPSET_ATTR_CIDR, member.prefix);
    }
    if (member.port != 0 || member.port_to != 0 || member.protocol != 0) {
      U16(IPSET_ATTR_PORT, member.port);
      if (member.port_to != member.port) U16(IPSET_ATTR_PORT_TO, member.port_to);
    } else if (member.family == 0) {
      U16(IPSET_ATTR_PORT, 0);
    }
    if (member.protocol != 0) U8(IPSET_ATTR_PROTO, member.protocol);
    if (member.interface_name[0] != '\0') {
      Text(IPSET_ATTR_IFACE, std::string(member.interface_name,
                                         strnlen(member.interface_name,
                                                 sizeof member.interface_name)));
    }
    if (member.no_match != 0) U32(IPSET_ATTR_CADT_FLAGS, IPSET_FLAG_NOMATCH);
    U32(IPSET_ATTR_LINENO, index);
    End(data);
  }

  size_t size() const { return bytes_.size(); }

  /** Fills in what is only known when it goes out. */
  const std::vector<uint8_t>& Finish(uint32_t sequence) const {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_len = static_cast<uint32_t>(bytes_.size());
    header->nlmsg_seq = sequence;
    return bytes_;
  }

 private:
  void Append(const void* data, size_t size) {
    const size_t at = bytes_.size();
    bytes_.resize(at + NLA_ALIGN(size));
    memcpy(bytes_.data() + at, data, size);
  }
  void Attribute(uint16_t type, const void* data, size_t size) {
    const nlattr header = {static_cast<uint16_t>(NLA_HDRLEN + size), type};
    Append(&header, sizeof header);
    Append(data, size);
  }

  mutable std::vector<uint8_t> bytes_;
};

SysError IpsetClient::Open(const std::string& netns) {
  SysError error;
  SharedFd namespace_fd;
  if (!netns.empty()) namespace_fd = OpenNetns(netns, &error);
  if (error) return error;
  {
    ScopedNetns inside(namespace_fd);
    if (inside.error()) return inside.error();
    fd_ = UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  }
  if (!fd_) return {errno, "socket(NETLINK_NETFILTER)"};
  const int bytes = kSendBufferBytes;
  const timeval limit = {kAnswerSeconds, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  if (setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
    return {errno, "setsockopt(SO_RCVTIMEO)"};
  }
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    return {errno, "bind"};
  }
  buffer_.resize(kReceiveBytes);
  return {};
}

SysError IpsetClient::Receive(const char* what, size_t* size) {
  ssize_t received;
  do {
    received = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return {errno == EAGAIN ? ETIMEDOUT : errno, what};
  *size = static_cast<size_t>(received);
  return {};
}

/** Sends, then hands every message of the answer to `on_message` until the kernel says it is done. */
template <typename OnMessage>
SysError IpsetClient::Dump(const Message& message, const char* what, OnMessage on_message) {
  const uint32_t sequence = ++sequence_;
  const std::vector<uint8_t>& bytes = message.Finish(sequence);
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof kernel) < 0) {
    return {errno, what};
  }
  for (;;) {
    size_t size = 0;
    if (SysError error = Receive(what, &size)) return error;
    auto left = static_cast<uint32_t>(size);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data());
         NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      // An answer that came after its caller gave up on it.
      if (header->nlmsg_seq != sequence) continue;
      if (header->nlmsg_type == NLMSG_DONE) return {};
      if (header->nlmsg_type == NLMSG_ERROR) {
        const int err = -*static_cast<const int*>(NLMSG_DATA(header));
        return err == 0 ? SysError{} : Failure(err, what);
      }
      on_message(header);
    }
  }
}

SysError IpsetClient::Request(const Message& message, const char* what) {
  return Dump(message, what, [](const nlmsghdr*) {});
}

namespace {

/** Attributes of a netfilter message. */
template <typename Visit>
void ForEachAttributeOf(const nlmsghdr* header, Visit visit) {
  constexpr size_t kFixed = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  if (header->nlmsg_len < kFixed) return;
  ForEachAttribute(reinterpret_cast<const uint8_t*>(header) + kFixed, header->nlmsg_len - kFixed,
                   visit);
}

}  // namespace

SysError IpsetClient::NewestRevision(const std::string& type, uint8_t family, uint8_t* revision) {
  Message message(IPSET_CMD_TYPE, NLM_F_ACK);
  message.Text(IPSET_ATTR_TYPENAME, type);
  message.U8(IPSET_ATTR_FAMILY, family);
  return Dump(message, "ipset(type)", [&](const nlmsghdr* header) {
    ForEachAttributeOf(header, [&](int attribute_type, const nlattr* attribute) {
      if (attribute_type == IPSET_ATTR_REVISION && PayloadSize(attribute) > 0)
        *revision = *Payload(attribute);
    });
  });
}

SysError IpsetClient::Create(const NewSet& set) {
  std::lock_guard<std::mutex> turn(turn_);
  uint8_t revision = 0;
  if (SysError error = NewestRevision(set.type, set.family, &revision)) return error;
  Message message(IPSET_CMD_CREATE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.Text(IPSET_ATTR_SETNAME, set.name);
  message.Text(IPSET_ATTR_TYPENAME, set.type);
  message.U8(IPSET_ATTR_REVISION, revision);
  message.U8(IPSET_ATTR_FAMILY, set.family);
  const size_t data = message.Begin(IPSET_ATTR_DATA);
  if (set.type == "bitmap:port") {
    message.U16(IPSET_ATTR_PORT, 0);
    message.U16(IPSET_ATTR_PORT_TO, UINT16_MAX);
  } else {
    message.U32(IPSET_ATTR_MAXELEM, set.max_elements);
  }
  message.End(data);
  return Request(message, "ipset(create)");
}

SysError IpsetClient::Destroy(const std::string& name) {
  std::lock_guard<std::mutex> turn(turn_);
  Message message(IPSET_CMD_DESTROY, NLM_F_ACK);
  message.Text(IPSET_ATTR_SETNAME, name);
  return Request(message, "ipset(destroy)");
}

SysError IpsetClient::Swap(const std::string& first, const std::string& second) {
  std::lock_guard<std::mutex> turn(turn_);
  Message message(IPSET_CMD_SWAP, NLM_F_ACK);
  message.Text(IPSET_ATTR_SETNAME, first);
  message.Text(IPSET_ATTR_SETNAME2, second);
  return Request(message, "ipset(swap)");
}

SysError IpsetClient::Change(const std::string& name, bool add,
                             const std::vector<IpsetMember>& members) {
  std::lock_guard<std::mutex> turn(turn_);
  const char* what = add ? "ipset(add)" : "ipset(del)";
  for (size_t next = 0; next < members.size();) {
    const size_t first = next;
    // Without NLM_F_EXCL the kernel passes over what is there already, or is not there.
    Message message(add ? IPSET_CMD_ADD : IPSET_CMD_DEL, NLM_F_ACK);
    message.Text(IPSET_ATTR_SETNAME, name);
    message.U32(IPSET_ATTR_LINENO, 0);
    const size_t all = message.Begin(IPSET_ATTR_ADT);
    while (next < members.size() && message.size() - all < kMembersBytesMax) {
      message.Member(members[next], static_cast<uint32_t>(next));
      ++next;
    }
    message.End(all);
    if (SysError error = Request(message, what)) {
      error.log += (error.log.empty() ? "" : ", ") + std::string("among members ") +
                   std::to_string(first) + " to " + std::to_string(next - 1);
      return error;
    }
  }
  return {};
}

SysError IpsetClient::Headers(std::vector<IpsetHeader>* headers) {
  std::lock_guard<std::mutex> turn(turn_);
  Message message(IPSET_CMD_LIST, NLM_F_DUMP);
  message.U32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_HEADER);
  return Dump(message, "ipset(list)", [&](const nlmsghdr* netlink) {
    IpsetHeader header;
    ForEachAttributeOf(netlink, [&](int type, const nlattr* attribute) {
      if (type == IPSET_ATTR_SETNAME) header.name = Text(attribute);
      if (type == IPSET_ATTR_TYPENAME) header.type = Text(attribute);
      if (type == IPSET_ATTR_FAMILY && PayloadSize(attribute) > 0)
        header.family = *Payload(attribute);
    });
    headers->push_back(header);
  });
}

SysError IpsetClient::Members(const std::string& name, std::vector<IpsetMember>* members) {
  std::lock_guard<std::mutex> turn(turn_);
  Message message(IPSET_CMD_LIST, NLM_F_DUMP);
  message.Text(IPSET_ATTR_SETNAME, name);
  return Dump(message, "ipset(list)", [&](const nlmsghdr* netlink) {
    ForEachAttributeOf(netlink, [&](int type, const nlattr* attribute) {
      if (type != IPSET_ATTR_ADT) return;
      ForEachAttribute(Payload(attribute), PayloadSize(attribute),
                       [&](int data_type, const nlattr* data) {
                         if (data_type == IPSET_ATTR_DATA) members->push_back(ReadMember(data));
                       });
    });
  });
}

}  // namespace margay
