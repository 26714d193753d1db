/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry per connection, for both directions and both policies. Policy is asked while only one side
 * has spoken; after a packet each way the entry alone decides.
 */
#ifndef MARGAY_CONNTRACK_H
#define MARGAY_CONNTRACK_H
#include <margay/maps.h>
#include <margay/parse6.h>

/* Units of 64 jiffies: coarse enough that an entry's line is rarely written. */
static __always_inline __u32 mgy_now(void)
{
	return bpf_jiffies64() >> 6;
}

static __always_inline int mgy_ct_finished(__u32 flags)
{
	const __u32 fins = MGY_CT_FIN_AB | MGY_CT_FIN_BA;

	return flags & MGY_CT_RST || (flags & fins) == fins;
}

static __always_inline int mgy_ct_is_reply(const struct mgy_pkt *pkt, __u32 flags)
{
	return !!(flags & MGY_CT_ORIG_B) != pkt->ba;
}

/* Interface that packets of this direction come in by. */
static __always_inline __u32 mgy_ct_from(const struct mgy_pkt *pkt, const struct mgy_ct_val *ct)
{
	return pkt->ba ? ct->if_ba : ct->if_ab;
}

static __always_inline __u32 mgy_ct_forward(const struct mgy_pkt *pkt, const struct mgy_ct_val *ct)
{
	return pkt->ba ? ct->fw_ba : ct->fw_ab;
}

/* The entry decides for this packet: it is a reply, or there has been one; and it does not start anew. */
static __always_inline int mgy_ct_established(const struct mgy_pkt *pkt, __u32 flags)
{
	if (!(flags & MGY_CT_REPLIED) && !mgy_ct_is_reply(pkt, flags))
		return 0;
	return pkt->kind != MGY_KIND_SYN || !mgy_ct_finished(flags);
}

/* Not atomic: two CPUs that carry one direction of one connection at the same instant may count a packet once. */
static __always_inline void mgy_ct_account(const struct mgy_pkt *pkt, struct mgy_ct_val *ct)
{
	if (!pkt->len)
		return;
	if (pkt->ba) {
		ct->packets_ba++;
		ct->bytes_ba += pkt->len;
	} else {
		ct->packets_ab++;
		ct->bytes_ab += pkt->len;
	}
}

/* Notes what an accepted packet says about the connection. Writes only what changes; bits never race away. */
static __always_inline void mgy_ct_touch(const struct mgy_pkt *pkt, struct mgy_ct_val *ct)
{
	__u32 flags = ct->flags, more = 0, now = mgy_now();

	if (mgy_ct_is_reply(pkt, flags))
		more = MGY_CT_REPLIED;
	if (mgy_unlikely(pkt->tcp_flags & (MGY_TCP_FIN | MGY_TCP_RST))) {
		if (pkt->tcp_flags & MGY_TCP_FIN)
			more |= pkt->ba ? MGY_CT_FIN_BA : MGY_CT_FIN_AB;
		if (pkt->tcp_flags & MGY_TCP_RST)
			more |= MGY_CT_RST;
	}
	if (more & ~flags)
		__sync_fetch_and_or(&ct->flags, more);
	if (ct->last != now)
		MGY_WRITE_ONCE(ct->last, now);
	if (mgy_config.account)
		mgy_ct_account(pkt, ct);
}

/* What is to be remembered of a flow that was let through. Directions as seen by the packet at hand. */
struct mgy_ct_new {
	__u32 from, back_from; /* interfaces: of this direction, of replies */
	__u32 fwd, back_fwd;   /* forward actions */
	__u32 flags;           /* MGY_CT_HOST, MGY_CT_IN_DONE */
	__u32 tr_o, tr_i;
};

static __always_inline void mgy_ct_paths(const struct mgy_pkt *pkt, struct mgy_ct_val *ct,
					 const struct mgy_ct_new *new)
{
	ct->if_ab = pkt->ba ? new->back_from : new->from;
	ct->if_ba = pkt->ba ? new->from : new->back_from;
	ct->fw_ab = pkt->ba ? new->back_fwd : new->fwd;
	ct->fw_ba = pkt->ba ? new->fwd : new->back_fwd;
	ct->tr_o = new->tr_o;
	ct->tr_i = new->tr_i;
}

static __always_inline struct mgy_ct_val *mgy_ct_lookup(const struct mgy_pkt *pkt, const int v6)
{
	return v6 ? bpf_map_lookup_elem(&mgy_ct6_v1, &MGY_PKT6(pkt)->key)
		  : bpf_map_lookup_elem(&mgy_ct4_v1, &pkt->key);
}

/* Takes the connection over from an earlier agent's table. 1: it is in ours now, or somebody else has brought it. */
mgy_global int mgy_ct_bring4(const struct mgy_pkt *pkt)
{
	struct mgy_ct_val val = {}, *old;
	struct mgy_ct_key key;

	if (!pkt)
		return 0;
	key = pkt->key;
	old = bpf_map_lookup_elem(&mgy_ct4_old_v1, &key);
	if (!old)
		return 0;
	__builtin_memcpy(&val, old, MGY_CT_KEPT);
	bpf_map_update_elem(&mgy_ct4_v1, &key, &val, BPF_NOEXIST);
	return 1;
}

mgy_global int mgy_ct_bring6(const struct mgy_pkt6 *pkt)
{
	struct mgy_ct_val val = {}, *old;
	struct mgy_ct6_key key;

	if (!pkt)
		return 0;
	key = pkt->key;
	old = bpf_map_lookup_elem(&mgy_ct6_old_v1, &key);
	if (!old)
		return 0;
	__builtin_memcpy(&val, old, MGY_CT_KEPT);
	bpf_map_update_elem(&mgy_ct6_v1, &key, &val, BPF_NOEXIST);
	return 1;
}

/* The packet's entry, or NULL. */
static __always_inline struct mgy_ct_val *mgy_ct_find(const struct mgy_pkt *pkt, const int v6)
{
	struct mgy_ct_val *ct = mgy_ct_lookup(pkt, v6);

	if (mgy_config.migrate && mgy_unlikely(!ct)) {
		if (v6 ? mgy_ct_bring6(MGY_PKT6(pkt)) : mgy_ct_bring4(pkt))
			ct = mgy_ct_lookup(pkt, v6);
	}
	return ct;
}

/*
 * Whose quota a connection is part of, 0: nobody's. Who opened it bears it, so that nobody can use up what another has;
 * what comes from elsewhere is borne by the workload it is meant for, apart from what that opens itself. `from` and
 * `back` are the interfaces that packets of the opening direction and replies come in by.
 */
static __always_inline __u32 mgy_quota_of(__u32 from, __u32 back, __u32 flags)
{
	if (from)
		return from;
	return back && !(flags & MGY_CT_HOST) ? MGY_QUOTA_OPENED_TO | back : 0;
}

/* False: the quota is used up. Several CPUs at the limit may each take one more. */
mgy_global int mgy_quota_take(__u32 who)
{
	struct mgy_quota first = {}, *quota;

	if (!who || !mgy_config.quota)
		return 1;
	quota = bpf_map_lookup_elem(&mgy_quota_v1, &who);
	if (!quota) {
		first.used = 1;
		bpf_map_update_elem(&mgy_quota_v1, &who, &first, BPF_NOEXIST);
		return 1;
	}
	if (MGY_READ_ONCE(quota->used) >= mgy_config.quota)
		return 0;
	__sync_fetch_and_add(&quota->used, 1);
	return 1;
}

/*
 * Stores a verdict. `ct` is the flow's entry if it goes on in its original direction, which is brought up
 * to date in place; NULL makes a new entry, replacing one that is finished or stale.
 * Returns MGY_OK_NEW, MGY_DROP_CT_FULL or MGY_DROP_CT_QUOTA.
 */
static __always_inline enum mgy_reason mgy_ct_put(const struct mgy_pkt *pkt, struct mgy_ct_val *ct,
						       const struct mgy_ct_new *new, const int v6)
{
	struct mgy_ct_val val = {};
	long error;

	if (ct) {
		mgy_ct_paths(pkt, ct, new);
		if (new->flags & ~ct->flags)
			__sync_fetch_and_or(&ct->flags, new->flags);
		mgy_ct_touch(pkt, ct);
		return MGY_OK_NEW;
	}
	if (!mgy_quota_take(mgy_quota_of(new->from, new->back_from, new->flags)))
		return MGY_DROP_CT_QUOTA;
	mgy_ct_paths(pkt, &val, new);
	val.flags = new->flags | (pkt->ba ? MGY_CT_ORIG_B : 0);
	val.created = mgy_now();
	mgy_ct_touch(pkt, &val);
	/*
	 * Two CPUs may race to the same key: both asked policy about the same tuple, so the last may win. The key is
	 * copied because kernels before 6.2 take none from an argument of a global function.
	 */
	if (v6) {
		struct mgy_ct6_key key = MGY_PKT6(pkt)->key;

		error = bpf_map_update_elem(&mgy_ct6_v1, &key, &val, BPF_ANY);
	} else {
		struct mgy_ct_key key = pkt->key;

		error = bpf_map_update_elem(&mgy_ct4_v1, &key, &val, BPF_ANY);
	}
	return error ? MGY_DROP_CT_FULL : MGY_OK_NEW;
}

/* Verified once, not once for each way that leads here. */
mgy_global int mgy_ct_store(const struct mgy_pkt *pkt, struct mgy_ct_val *ct, const struct mgy_ct_new *new)
{
	return pkt && new ? mgy_ct_put(pkt, ct, new, 0) : MGY_DROP_CT_FULL;
}

mgy_global int mgy_ct_store6(const struct mgy_pkt6 *pkt, struct mgy_ct_val *ct, const struct mgy_ct_new *new)
{
	return pkt && new ? mgy_ct_put(&pkt->pkt, ct, new, 1) : MGY_DROP_CT_FULL;
}

static __always_inline enum mgy_reason mgy_ct_store_ip(const struct mgy_pkt *pkt, struct mgy_ct_val *ct,
						    const struct mgy_ct_new *new, const int v6)
{
	return v6 ? mgy_ct_store6(MGY_PKT6(pkt), ct, new) : mgy_ct_store(pkt, ct, new);
}

/* The start of a packet that an ICMP error quotes. */
struct mgy_quoted {
	__u32 src, dst; /* be */
	__u8 proto;
};

/* Its entry: `l4` are the 8 bytes after the quoted IP header. *inner_ba tells whether it went from key.b. */
static __always_inline struct mgy_ct_val *mgy_ct_quoted(const struct mgy_quoted *quoted,
							const struct mgy_icmp *l4, int *inner_ba)
{
	struct mgy_ct_key key __attribute__((aligned(8))) = {};
	const struct mgy_udp *ports = (const struct mgy_udp *)l4;
	__u16 sport = 0, dport = 0;
	__u8 query = 0;

	if (quoted->proto == MGY_TCP || quoted->proto == MGY_UDP || quoted->proto == MGY_SCTP) {
		sport = ports->sport;
		dport = ports->dport;
	} else if (quoted->proto == MGY_ICMP) {
		if (mgy_icmp_query(l4->type) == 0xff)
			return 0;
		sport = dport = l4->id;
		query = mgy_icmp_pad(mgy_icmp_query(l4->type));
	}
	*inner_ba = mgy_key_set(&key, quoted->src, quoted->dst, sport, dport, quoted->proto, query);
	return bpf_map_lookup_elem(&mgy_ct4_v1, &key);
}

/* The quoted packet was sent by the error's addressee, and its ports are in it. */
static __always_inline int mgy_quotes(const struct mgy_ip4 *ip, const struct mgy_pkt *pkt,
				      struct mgy_quoted *quoted)
{
	if (ip->ver_ihl >> 4 != 4 || (ip->ver_ihl & 15) < 5 || ip->src != pkt->dst ||
	    bpf_ntohs(ip->frag_be) & MGY_IP4_OFFSET)
		return 0;
	quoted->src = ip->src;
	quoted->dst = ip->dst;
	quoted->proto = ip->proto;
	return 1;
}

/*
 * The entry of the packet quoted by an ICMP error, if the error answers it: the quoted packet was sent by
 * the error's addressee. *inner_ba tells whether it went from key.b. NULL: relates to nothing.
 */
static mgy_noinline struct mgy_ct_val *mgy_ct_related(struct __sk_buff *skb, const struct mgy_pkt *pkt,
						       int *inner_ba)
{
	/* At most 14 + 60; the verifier wants to see a bound. */
	__u32 at = (pkt->l4_off & 127) + MGY_ICMP_LEN, l4;
	struct mgy_quoted quoted = {};
	struct mgy_icmp *icmp;
	struct mgy_ip4 *ip;

	*inner_ba = 0;
	if (!mgy_have(skb, at + MGY_IP4_LEN))
		return 0;
	ip = MGY_AT(skb, at, struct mgy_ip4);
	if (!ip || !mgy_quotes(ip, pkt, &quoted))
		return 0;
	l4 = at + (ip->ver_ihl & 15) * 4;
	/* RFC 792: at least 8 bytes of every datagram are quoted. */
	if (!mgy_have(skb, l4 + 8))
		return 0;
	icmp = MGY_AT(skb, l4, struct mgy_icmp);
	return icmp ? mgy_ct_quoted(&quoted, icmp, inner_ba) : 0;
}

/* As mgy_ct_quoted(): `ends` are source and destination, `head` what follows the quoted chain of headers. */
static __always_inline struct mgy_ct_val *mgy_ct_quoted6(const __u64 *ends, __u8 proto, const __u8 *head,
							 int *inner_ba)
{
	struct mgy_ct6_key key __attribute__((aligned(8))) = {};
	__u32 ports = 0;

	if (proto == MGY_ICMP6) {
		if (head[0] != MGY_ICMP6_ECHO && head[0] != MGY_ICMP6_REPLY)
			return 0;
		__builtin_memcpy(&ports, head + 4, 2);
		ports |= ports << 16;
	} else if (proto == MGY_TCP || proto == MGY_UDP || proto == MGY_SCTP) {
		__builtin_memcpy(&ports, head, sizeof(ports));
	}
	*inner_ba = mgy_key6_set(&key, ends, ends + 2, ports, proto, 0);
	return bpf_map_lookup_elem(&mgy_ct6_v1, &key);
}

/* The same for ICMPv6. The quoted packet may have extension headers of its own; a later fragment has no ports. */
static mgy_noinline struct mgy_ct_val *mgy_ct_related6(struct __sk_buff *skb, const struct mgy_pkt *pkt,
						       int *inner_ba)
{
	__u32 at = (pkt->l4_off & MGY_L4_OFF_MAX) + MGY_ICMP_LEN;
	struct mgy_chain chain = {};
	__u64 ends[4];
	__u8 head[8];

	*inner_ba = 0;
	if (bpf_skb_load_bytes(skb, at, head, sizeof(head)) || head[0] >> 4 != 6 ||
	    bpf_skb_load_bytes(skb, at + 8, ends, sizeof(ends)) || ends[0] != MGY_PKT6(pkt)->dst[0] ||
	    ends[1] != MGY_PKT6(pkt)->dst[1])
		return 0;
	if (mgy_walk_chain(skb, at + MGY_IP6_LEN, head[6], &chain) != MGY_OK_PASS || chain.fragment == 2)
		return 0;
	/* Errors quote as much as fits (RFC 4443 2.4 c). */
	if (bpf_skb_load_bytes(skb, chain.at, head, sizeof(head)))
		return 0;
	return mgy_ct_quoted6(ends, chain.proto, head, inner_ba);
}

static __always_inline struct mgy_ct_val *mgy_ct_related_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
							    int *inner_ba, const int v6)
{
	return v6 ? mgy_ct_related6(skb, pkt, inner_ba) : mgy_ct_related(skb, pkt, inner_ba);
}
#endif
