/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that user space reads or writes. Fixed-width types, explicit padding. Addresses and ports
 * marked be are in network order. src/dataplane/ebpf/abi.gen.ts is generated from the BTF of these types.
 */
#ifndef MARGAY_ABI_H
#define MARGAY_ABI_H

/*
 * Address trie, IPv4. Root: element a of mgy_root4 is a node indexed by the second octet.
 * An entry is either a child (MGY_CHILD | index into mgy_node4) or an index into mgy_info.
 * Leaf-pushed: every entry is final. Entry 0 is info 0: unknown address, class 0.
 */
#define MGY_CHILD 0x80000000u
struct mgy_node {
	__u32 e[256];
};
_Static_assert(sizeof(struct mgy_node) == 1024, "mgy_node is ABI: bump the map's version");

/*
 * Address trie, IPv6: path-compressed, six bits a level, down to /128. Element 0 of mgy_node6 is the root. A node
 * holds for addresses that equal (hi, lo) above its lowest shift + 6 bits; its entries, by the six bits at `shift`,
 * are as those of mgy_node. An address that does not equal has the entry `outside`, never a child. The root (shift
 * 126) holds for every address. All in host order; hi, lo and shift never change while a node is in use.
 */
#define MGY_NODE6_ENTRIES 64
#define MGY_NODE6_LEVELS 22
#define MGY_NODE6_ROOT_SHIFT 126
struct mgy_node6 {
	__u64 hi, lo;  /* lower bits are 0 */
	__u32 shift;   /* 126, 120, ... 0 */
	__u32 outside;
	__u32 pad[2];
	__u32 e[MGY_NODE6_ENTRIES];
};
_Static_assert(sizeof(struct mgy_node6) == 288, "mgy_node6 is ABI: bump the map's version");

enum mgy_info_flag {
	MGY_INFO_LOCAL_WL = 1,   /* workload of this host: ep and ifindex are set */
	MGY_INFO_REMOTE_WL = 2,  /* workload of another host: nh may be set */
	MGY_INFO_LOCAL_HOST = 4, /* an address of this host itself */
	MGY_INFO_REMOTE_HOST = 8,
	MGY_INFO_READY = 16,     /* programs are attached and policy is in place: may be delivered to */
	MGY_INFO_NO_PEER = 32,   /* LOCAL_WL: ifindex is no veth (tap): deliver through the host's stack */
};

/* What is known of an address. Equal records are shared. */
struct mgy_info {
	__u32 cls;     /* address class */
	__u32 flags;   /* MGY_INFO_* */
	__u32 ifindex; /* LOCAL_WL: host side of the workload's link */
	__u32 ep;      /* LOCAL_WL: index into mgy_ep */
	__u32 nh;      /* REMOTE_WL: index into mgy_nh (IPv6: mgy_nh6); 0: leave it to the host's routing */
	__u32 tun_dst; /* be; remote: the host it lives on, whose tunnel packets may carry it */
	__u8 mac[6];   /* LOCAL_WL: the workload's own, zero if not known */
	__u16 pad;
};
_Static_assert(sizeof(struct mgy_info) == 32, "mgy_info is ABI: bump the map's version");

/* A local workload endpoint, or one address of it where its addresses differ in policy. */
struct mgy_ep {
	__u32 ps_in;  /* policy set for traffic into the workload: index into mgy_ps */
	__u32 ps_out; /* for traffic out of it */
	__u32 flags;
	__u32 ifindex;
	__u32 pad[4];
};
_Static_assert(sizeof(struct mgy_ep) == 32, "mgy_ep is ABI: bump the map's version");

/* Next hop outside the host. */
struct mgy_nh {
	__u32 ifindex;
	__u32 gw;      /* be; 0: on link, or of a tunnel: as the host routes */
	__u32 tun_dst; /* be; not 0: IP-in-IP to this host, */
	__u32 tun_src; /* be; from this address of ours */
};
_Static_assert(sizeof(struct mgy_nh) == 16, "mgy_nh is ABI: bump the map's version");

/* IP-in-IP of this host, the one element of mgy_tunnel. */
struct mgy_tunnel {
	__u32 accept;  /* 1: tunnel packets to us are ours; 0: left to the host */
	__u32 ifindex; /* where inner packets that are not for a workload come in */
};
_Static_assert(sizeof(struct mgy_tunnel) == 8, "mgy_tunnel is ABI: bump the map's version");

/* The same for IPv6. */
struct mgy_nh6 {
	__u32 ifindex;
	__u32 pad;
	__u32 gw[4]; /* be; all 0: on link */
};
_Static_assert(sizeof(struct mgy_nh6) == 24, "mgy_nh6 is ABI: bump the map's version");

/*
 * L4 class: mgy_l4 element (slot * 128 + (x >> 9)), entry x & 511.
 * x is the port (TCP, UDP, SCTP; destination and source share one table) or type << 8 | code (ICMP, ICMPv6).
 * Element MGY_L4_PROTO holds the class of every other protocol, by number.
 */
enum mgy_l4_slot { MGY_L4_TCP, MGY_L4_UDP, MGY_L4_SCTP, MGY_L4_ICMP, MGY_L4_ICMP6, MGY_L4_SLOTS };
#define MGY_L4_PROTO (MGY_L4_SLOTS * 128)
#define MGY_L4_ELEMENTS (MGY_L4_PROTO + 1)
struct mgy_l4page {
	__u16 c[512];
};
_Static_assert(sizeof(struct mgy_l4page) == 1024, "mgy_l4page is ABI: bump the map's version");

/*
 * Policy set: mgy_ps holds one word each, replaced in one store:
 * bits 0-7 mode, 8-23 generation, 24-63 first line of the block in mgy_arena.
 */
enum mgy_ps_mode { MGY_PS_DENY, MGY_PS_ALLOW, MGY_PS_DENSE, MGY_PS_TWO_SIDED };

/* The arena is made of cache lines. A block starts with a header line and never changes once published,
 * except that rows for new classes are filled in before any address gets the class. */
struct mgy_line {
	union {
		__u64 q[8];
		__u32 d[16];
		__u16 w[32];
	};
};
_Static_assert(sizeof(struct mgy_line) == 64, "mgy_line is ABI: bump the map's version");

/*
 * Header line of a dense block, as d[]. Offsets are in lines from the header.
 *   row = cmap.w[class]       class >= MGY_BLK_CLASSES: deny
 *   col = lmap.w[l4 class of destination port], scol = smap.w[l4 class of source port] (0 if no smap)
 *   cell = cells.d[(row * cols + col) * scols + scol]
 * A protocol without ports has one class; it indexes both lmap and smap.
 * A two-sided block asks about both addresses: near is the destination in ingress and the source in egress.
 *   row = pairs.w[near.w[class of the near address] * MGY_BLK_FARS + cmap.w[class of the far address]]
 */
enum mgy_block {
	MGY_BLK_CLASSES,  /* valid entries of cmap */
	MGY_BLK_L4S,      /* valid entries of lmap (and smap) */
	MGY_BLK_CMAP,
	MGY_BLK_LMAP,
	MGY_BLK_SMAP,     /* 0: source ports do not matter */
	MGY_BLK_CELLS,
	MGY_BLK_COLS,
	MGY_BLK_SCOLS,    /* 1 if source ports do not matter */
	MGY_BLK_ROWS,
	MGY_BLK_NEAR,     /* two-sided: class of the near address to its part of pairs */
	MGY_BLK_PAIRS,
	MGY_BLK_FARS,     /* two-sided: values that cmap takes, the length of one part of pairs */
	MGY_BLK_NEARS,    /* two-sided: values that near takes */
};
/* Cell: bit 0 allow, bit 1 a Log rule matched on the way, bit 2 nothing decided and the packet goes on (stages of
 * host endpoints that do not end in a denial), bits 4-31 trace id. */
#define MGY_CELL_ALLOW 1u
#define MGY_CELL_LOG 2u
#define MGY_CELL_CONTINUE 4u
#define MGY_CELL_TRACE_SHIFT 4

/*
 * Policy of host endpoints, by interface: mgy_hif says which record an interface has. Record 1 is that of all
 * workload interfaces (a wildcard's), others belong to one host interface each. A policy set of 0: the stage has
 * no say there. IPv6 has sets of its own.
 */
enum mgy_stage {
	MGY_STAGE_UNTRACKED_IN,
	MGY_STAGE_UNTRACKED_OUT,
	MGY_STAGE_PRE_DNAT,
	MGY_STAGE_NORMAL_IN,
	MGY_STAGE_NORMAL_OUT,
	MGY_STAGE_FORWARD_IN,
	MGY_STAGE_FORWARD_OUT,
	MGY_STAGES,
};
#define MGY_HEP_WORKLOADS 1
#define MGY_STAGES_IP6 8
struct mgy_hep {
	__u32 ps[16]; /* by mgy_stage, IPv6: + MGY_STAGES_IP6: index into mgy_ps */
};
_Static_assert(sizeof(struct mgy_hep) == 64, "mgy_hep is ABI: bump the map's version");

/* A failsafe port: key of a trie of prefixes. What it holds a prefix of is a failsafe. */
#define MGY_FAILSAFES 1024
#define MGY_FAILSAFE_PORT_BITS 32 /* up to the port: any address of either family */
#define MGY_FAILSAFE_NET_BITS 64  /* up to the address; the length of its prefix comes on top */
struct mgy_failsafe {
	__u32 bits;    /* of what follows, how many count */
	__u8 out;      /* 0: inbound list, the address is the source; 1: outbound, the destination */
	__u8 proto;
	__u16 port;    /* be */
	__u32 family;  /* 4 or 6 */
	__u32 addr[4]; /* be; IPv4 in the first word */
};
_Static_assert(sizeof(struct mgy_failsafe) == 28, "mgy_failsafe is ABI: bump the map's version");

/* Connection. a is the numerically lower (address, port) in host order; ICMP echo: both ports are the identifier;
 * pad is 0, except for ICMP queries other than echo: the type of the request. */
struct mgy_ct_key {
	__u32 a, b;   /* be */
	__u16 pa, pb; /* be */
	__u8 proto;
	__u8 zone;
	__u16 pad;
};
_Static_assert(sizeof(struct mgy_ct_key) == 16, "mgy_ct_key is ABI: bump the map's version");

/* The same for IPv6, in a table of its own. */
struct mgy_ct6_key {
	__u64 a[2], b[2]; /* be */
	__u16 pa, pb;     /* be */
	__u8 proto;
	__u8 zone;
	__u16 pad;
};
_Static_assert(sizeof(struct mgy_ct6_key) == 40, "mgy_ct6_key is ABI: bump the map's version");

/*
 * Which datagram a fragment belongs to, where it was seen: the interface is part of the key, so that nobody can speak of
 * datagrams of another link.
 */
struct mgy_frag_key {
	__u64 src[2], dst[2]; /* be; IPv4 in the first word */
	__u32 id;             /* be */
	__u32 ifindex;
	__u32 proto;          /* IPv4: of the datagram; IPv6: that of fragment headers */
	__u32 pad;
};
_Static_assert(sizeof(struct mgy_frag_key) == 48, "mgy_frag_key is ABI: bump the map's version");

/* What its first fragment has told. */
struct mgy_frag {
	__u32 when;         /* jiffies >> 6 */
	__u16 least;        /* offset at which other fragments may begin: behind the header */
	__u16 sport, dport; /* be, as in mgy_pkt */
	__u16 x;
	__u8 proto, kind, query, pad;
};
_Static_assert(sizeof(struct mgy_frag) == 16, "mgy_frag is ABI: bump the map's version");

enum mgy_ct_flag {
	MGY_CT_ORIG_B = 1,   /* b opened the connection */
	MGY_CT_REPLIED = 2,  /* a packet went each way */
	MGY_CT_FIN_AB = 4,
	MGY_CT_FIN_BA = 8,
	MGY_CT_RST = 16,
	MGY_CT_HOST = 32,    /* one end is a process of this host */
	MGY_CT_IN_DONE = 64, /* ingress policy of a local destination was asked */
	MGY_CT_TOLD = 128,   /* observers have been told that the connection began */
};

/* Forward action of one direction: kind in bits 28-31, argument below. */
enum mgy_fwd {
	MGY_FWD_STACK, /* leave it to the host's stack */
	MGY_FWD_PEER,  /* argument: ifindex of the local workload's host side */
	MGY_FWD_NH,    /* argument: index into mgy_nh */
};
#define MGY_FWD_SHIFT 28

struct mgy_ct_val {
	__u32 if_ab, if_ba; /* interface packets of this direction come in by; 0: any host interface or the host itself */
	__u32 fw_ab, fw_ba; /* mgy_fwd */
	__u32 last;         /* jiffies >> 6, written when it changes */
	__u32 flags;        /* MGY_CT_* */
	__u32 tr_o, tr_i;   /* trace ids that allowed it: egress of the source, ingress of the destination */
	__u32 created;      /* jiffies >> 6 */
	__u32 pad;
	/* Of accepted packets, if mgy_config.account: as the programs saw them, super-packets once. */
	__u32 packets_ab, packets_ba;
	__u64 bytes_ab, bytes_ba; /* from the Ethernet header on */
};
_Static_assert(sizeof(struct mgy_ct_val) == 64, "mgy_ct_val is ABI: bump the map's version");

/*
 * Connections of one workload in both tables, by the number of its interface: those it opened, and under
 * MGY_QUOTA_OPENED_TO | number those that others opened to it.
 */
#define MGY_QUOTA_OPENED_TO 0x80000000u
struct mgy_quota {
	__u32 used;    /* grows with each new connection; the collector puts it right */
	__u32 before;  /* the collector's: `used` when its sweep began */
	__u32 counted; /* the collector's: found so far */
	__u32 pad;
};
_Static_assert(sizeof(struct mgy_quota) == 16, "mgy_quota is ABI: bump the map's version");

/* Every layout of mgy_ct_val begins with these bytes: what an agent of another version needs to know of a connection. */
#define MGY_CT_KEPT 64
_Static_assert(sizeof(struct mgy_ct_val) >= MGY_CT_KEPT, "what is kept is in every layout");

/* Why a packet was dropped or let through. Append only: numbers are used by metrics and events. */
enum mgy_reason {
	MGY_OK_ESTABLISHED,     /* belongs to a connection with a packet each way */
	MGY_OK_NEW,             /* allowed by policy */
	MGY_OK_RELATED,         /* ICMP error about a known connection */
	MGY_OK_HOST,            /* host process to local workload */
	MGY_OK_PASS,            /* not ours to judge */
	MGY_OK_ARP,             /* answered for the workload's gateway */
	MGY_DROP_SHORT,         /* truncated or malformed header */
	MGY_DROP_ETHERTYPE,     /* neither IPv4 nor ARP, or VLAN-tagged */
	MGY_DROP_IPV6_OFF,      /* IPv6 of a workload while IPv6 is off */
	MGY_DROP_FRAGMENT,      /* part of a datagram whose first fragment is not known, or overlapping its header */
	MGY_DROP_SPOOFED,       /* source is not the sending workload's */
	MGY_DROP_ENCAPSULATED,  /* tunnel packet from a workload */
	MGY_DROP_INVALID,       /* belongs to no connection and cannot open one */
	MGY_DROP_POLICY_OUT,    /* egress policy of the source */
	MGY_DROP_POLICY_IN,     /* ingress policy of the destination */
	MGY_DROP_TO_HOST,       /* defaultEndpointToHostAction */
	MGY_DROP_NOT_READY,     /* destination workload is not programmed */
	MGY_DROP_CT_FULL,       /* no room for another connection */
	MGY_DROP_CT_DIRECTION,  /* came in by another interface than the connection's */
	MGY_DROP_TTL,           /* arrived with a time to live of 0 */
	MGY_DROP_NO_POLICY_SET, /* descriptor or block missing or out of bounds */
	MGY_DROP_HOST_IN,       /* normal ingress policy or profile of a host endpoint */
	MGY_DROP_HOST_OUT,      /* normal egress policy or profile of a host endpoint */
	MGY_DROP_FORWARD_IN,    /* applyOnForward ingress policy of the host endpoint it came in by */
	MGY_DROP_FORWARD_OUT,   /* applyOnForward egress policy of the host endpoint it would leave by */
	MGY_DROP_PRE_DNAT,      /* preDNAT policy of a host endpoint */
	MGY_DROP_UNTRACKED,     /* doNotTrack policy of a host endpoint */
	MGY_DROP_UNGUARDED,     /* to or from a workload interface that has no programs */
	MGY_OK_NEIGHBOR,        /* neighbour discovery and the like between a workload and its host */
	MGY_DROP_EXTENSION,     /* IPv6 extension headers: too many, too long, or a route to follow */
	MGY_DROP_SCOPE,         /* to or from an address that is valid on one link only, or a group */
	MGY_OK_TUNNEL,          /* taken out of a tunnel packet, to be judged; never counted */
	MGY_DROP_TUNNEL_PEER,   /* tunnel packet of no host of the cluster */
	MGY_DROP_TUNNEL_SOURCE, /* inner source does not live on the host that sent it */
	MGY_DROP_TUNNEL_ECN,    /* congestion marked outside, inside unable to carry it */
	MGY_DROP_TUNNEL_NONE,   /* for the tunnel, but of no host's range */
	MGY_DROP_TUNNEL_SIZE,   /* no room for the outer header */
	MGY_DROP_CT_QUOTA,      /* its workload has as many connections as one may have */
	MGY_REASON_MAX = 64,
};

struct mgy_counter {
	__u64 packets;
	__u64 bytes;
};
_Static_assert(sizeof(struct mgy_counter) == 16, "mgy_counter is ABI: bump the map's version");

/*
 * mgy_hits: packets that policy was asked about, by the lower 16 bits of the trace id that it answered with. User
 * space gives out ids; 0 is no trace. Packets of established connections are in mgy_ct_val.
 */
#define MGY_HIT_SLOTS 65536
#define MGY_HIT_MASK (MGY_HIT_SLOTS - 1)
/* Element of mgy_cnt that counts records the ring had no room for; no reason has this number. */
#define MGY_COUNT_LOST 63

/* Word 0 of mgy_watch: what observers want to hear of at once. */
#define MGY_WATCH_STARTS 1u

/* Who was told of lately: bounds the records of dropped packets and of starts, whatever is sent. */
struct mgy_quiet {
	__u32 tag;     /* hash of what was told; 0: nothing yet */
	__u32 when;    /* jiffies >> 6 */
	__u32 repeats; /* since then, of the same */
	__u32 pad;
};
_Static_assert(sizeof(struct mgy_quiet) == 16, "mgy_quiet is ABI: bump the map's version");
#define MGY_QUIET_SLOTS 4096

enum mgy_event_kind {
	MGY_EVENT_PACKET, /* struct mgy_event: a packet that policy was asked about, or that was dropped */
	MGY_EVENT_START,  /* struct mgy_event: policy let a connection begin */
	MGY_EVENT_FLOW,   /* struct mgy_flow_event: a connection, for the first time or again */
	MGY_EVENT_END,    /* struct mgy_flow_event: it was removed from the table */
};

/* What both records in the ring buffer mgy_events begin with. IPv4 addresses are in the first word. */
struct mgy_event_head {
	__u64 ns;               /* CLOCK_MONOTONIC */
	__u32 src[4], dst[4];   /* be; of the opening direction */
	__u16 sport, dport;     /* be; ICMP: the identifier, and type << 8 | code, of a connection the identifier again */
	__u8 proto;
	__u8 kind;              /* mgy_event_kind */
	__u8 family;            /* 4 or 6 */
	__u8 reason;            /* mgy_reason; of connections 0 */
	__u32 trace_out, trace_in; /* trace ids of the verdict, 0 if none */
};
_Static_assert(sizeof(struct mgy_event_head) == 56, "mgy_event_head is ABI: bump the map's version");

struct mgy_event {
	struct mgy_event_head head;
	__u32 ifindex;
	__u32 len;       /* bytes on the wire */
	__u32 repeats;   /* packets like it that were not told of since the last record */
	__u8 log;        /* 1: a Log rule asked for it */
	__u8 pad[3];
};
_Static_assert(sizeof(struct mgy_event) == 72, "mgy_event is ABI: bump the map's version");

struct mgy_flow_event {
	struct mgy_event_head head;
	__u64 bytes, bytes_back; /* since it began */
	__u32 packets, packets_back;
	__u32 flags;             /* MGY_CT_* */
	__u32 if_from;           /* interface of the opening direction, 0 if none of a workload */
	__u32 idle, age;         /* units of 64 jiffies */
};
_Static_assert(sizeof(struct mgy_flow_event) == 96, "mgy_flow_event is ABI: bump the map's version");

/* Load-time configuration: the only object in .rodata, const volatile, frozen. */
struct mgy_config {
	__u32 host_action;     /* workload to its own host: 0 drop, 1 accept */
	__u32 log_drops;       /* 1: tell of dropped new flows */
	__u32 mark_seen;       /* skb mark bit set on packets handed to the stack after a verdict */
	__u32 allow_ipip;      /* 1: workloads may send protocol 4 */
	__u32 allow_vxlan;
	__u32 vxlan_port;      /* host order */
	__u32 timeout_tcp_syn; /* all timeouts in units of 64 jiffies */
	__u32 timeout_tcp_established;
	__u32 timeout_tcp_fin;
	__u32 timeout_tcp_rst;
	__u32 timeout_udp;
	__u32 timeout_icmp;
	__u32 timeout_generic;
	__u32 mark_accepted;   /* skb mark bit: preDNAT or untracked policy has let the packet in */
	__u32 mark_untracked;  /* skb mark bit, besides: untracked policy has */
	__u32 ipv6;            /* 0: IPv6 of workloads is dropped, host interfaces leave it alone */
	__u32 account;         /* 1: connections count their packets and bytes */
	__u32 event_pause;     /* a drop is told of again after this */
	__u32 kernel_conntrack; /* 1: the kernel has bpf_skb_ct_lookup() */
	__u32 timeout_fragment; /* the ports of a datagram are remembered for this long */
	__u32 migrate;         /* 1: connections may be in the tables of an earlier agent */
	__u32 quota;           /* connections that one workload may have; 0: as many as there is room for */
	__u32 pad[2];
};
_Static_assert(sizeof(struct mgy_config) == 96, "mgy_config is ABI");

/* Context of the garbage collector, SEC("syscall") mgy_gc. */
struct mgy_gc_args {
	__u32 now;      /* out: jiffies >> 6 */
	__u32 scanned;  /* out */
	__u32 removed;  /* out */
	__u32 live;     /* out */
	__u32 tell;     /* in: 1 tell of connections that begin or end, 2 also of those used within `since` */
	__u32 since;    /* in: units of 64 jiffies back from now */
	__u32 told;     /* out: records written */
	__u32 untold;   /* out: connections that could not be told of: no room in the ring */
};

#define MGY_TELL_CHANGES 1
#define MGY_TELL_USED 2
#endif
