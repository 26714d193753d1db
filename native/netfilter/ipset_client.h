#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/sys_error.h"
#include "core/unique_fd.h"

namespace margay {

/** A member as JavaScript packs it; which fields count is up to the set's type. 40 bytes. */
struct IpsetMember {
  uint8_t family;     // 4 or 6; 0: no address (bitmap:port)
  uint8_t prefix;     // length in bits
  uint8_t protocol;   // IP protocol number, with a port in hash:net,port
  uint8_t no_match;   // 1: what it covers is not in the set
  uint16_t port;      // host order
  uint16_t port_to;   // host order; the last of a range, equal to port for one
  uint8_t address[16];  // network order, an IPv4 address in the first four
  char interface_name[16];  // hash:net,iface; padded with NUL
};
static_assert(sizeof(IpsetMember) == 40, "IpsetMember is packed by src/kernel/netfilter/ipset.ts");

struct IpsetHeader {
  std::string name;
  std::string type;
  uint8_t family = 0;  // AF_*
};

/**
 * One NETLINK_NETFILTER socket that asks and waits for the answer (linux/netfilter/ipset/ip_set.h,
 * protocol 7). Callers on several threads take turns. Blocks: belongs on a pool thread.
 */
class IpsetClient {
 public:
  /** `netns`: path of a network namespace; empty: the caller's. */
  SysError Open(const std::string& netns);

  struct NewSet {
    std::string name;
    std::string type;
    uint8_t family = 0;  // AF_INET, AF_INET6, or 0 where the type has none
    uint32_t max_elements = 0;
  };
  /** EEXIST when there is one of that name, of whatever type. */
  SysError Create(const NewSet& set);
  /** EBUSY when a rule uses it; none of that name is no error. */
  SysError Destroy(const std::string& name);
  /** Exchanges names and contents of two sets of one type. */
  SysError Swap(const std::string& first, const std::string& second);
  /**
   * Adds or removes members; those that are there, or are not, are passed over. On an error,
   * members before the failed one have been changed; its index is in the error's log.
   */
  SysError Change(const std::string& name, bool add, const std::vector<IpsetMember>& members);
  SysError Headers(std::vector<IpsetHeader>* headers);
  SysError Members(const std::string& name, std::vector<IpsetMember>* members);

 private:
  class Message;
  SysError Request(const Message& message, const char* what);
  template <typename OnMessage>
  SysError Dump(const Message& message, const char* what, OnMessage on_message);
  SysError NewestRevision(const std::string& type, uint8_t family, uint8_t* revision);
  SysError Receive(const char* what, size_t* size);

  UniqueFd fd_;
  std::mutex turn_;
  uint32_t sequence_ = 0;
  std::vector<uint8_t> buffer_;
};

}  // namespace margay
