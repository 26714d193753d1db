/* SPDX-License-Identifier: Apache-2.0 */
/* Packets as they are given: from a link, or from this host as if a process of it had made them. */
#include "load.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PACKET_MAX 9000

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes written to `out`, or -1 when the text is not hexadecimal or too long. */
static int parse_hex(const char *text, uint8_t *out)
{
	int n = 0;

	for (; text[0] && text[1]; text += 2, n++) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || n == PACKET_MAX)
			return -1;
		out[n] = (uint8_t)(high << 4 | low);
	}
	return *text ? -1 : n;
}

static int send_frame(int fd, const char *link, const uint8_t *frame, int size)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(link) };

	if (!to.sll_ifindex)
		return -1;
	return (int)sendto(fd, frame, (size_t)size, 0, (struct sockaddr *)&to, sizeof(to));
}

static int send_ip(const int fds[2], const uint8_t *packet, int size)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (size >= (int)sizeof(struct ip6_hdr) && packet[0] >> 4 == 6) {
		memcpy(&v6.sin6_addr, packet + 24, 16);
		return (int)sendto(fds[1], packet, (size_t)size, 0, (struct sockaddr *)&v6, sizeof(v6));
	}
	if (size < (int)sizeof(struct ip))
		return errno = EINVAL, -1;
	memcpy(&v4.sin_addr, packet + 16, 4);
	return (int)sendto(fds[0], packet, (size_t)size, 0, (struct sockaddr *)&v4, sizeof(v4));
}

/*
 * Waits until nothing is queued on CPU 0. This process runs there, and softirqs are not interrupted by processes, so
 * whatever was queued has then been through. Column 12 of softnet_stat is the backlog, column 13 the CPU (Linux 5.10).
 */
static void wait_until_processed(void)
{
	for (;;) {
		FILE *stat = fopen("/proc/net/softnet_stat", "r");
		unsigned backlog = 0, found = 0, cpu, queued;
		char text[512];

		if (!stat)
			return;
		while (fgets(text, sizeof(text), stat))
			if (sscanf(text, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x %x", &queued, &cpu) == 2 && !cpu)
				backlog = queued, found = 1;
		fclose(stat);
		if (!found || !backlog)
			return;
		sched_yield();
	}
}

/* Every tracked connection of this namespace, and the answer that it is done. */
static int forget_connections(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = {
		.header = {
			.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.family = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 },
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;

	if (send(fd, &request, request.header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		return -1;
	errno = -answer.error.error;
	return errno ? -1 : 0;
}

/* Lines "link NAME HEX", "ip HEX" and "forget"; "sent" or "error WHY" for each, once the kernel has taken it. */
int inject_main(int argc, char **argv)
{
	int link_fd = socket(AF_PACKET, SOCK_RAW, 0);
	int ip_fds[2] = { socket(AF_INET, SOCK_RAW, IPPROTO_RAW), socket(AF_INET6, SOCK_RAW, IPPROTO_RAW) };
	int netfilter_fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	static char line[2 * PACKET_MAX + 64], hex[2 * PACKET_MAX + 1], name[IF_NAMESIZE];
	static uint8_t packet[PACKET_MAX];
	cpu_set_t first;

	(void)argc, (void)argv;
	if (link_fd < 0 || netfilter_fd < 0 || ip_fds[0] < 0 || ip_fds[1] < 0)
		die("socket");
	/* One CPU: packets are taken in the order in which they were given. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	while (fgets(line, sizeof(line), stdin)) {
		int size = -1, done = -1;

		errno = EINVAL;
		if (sscanf(line, "link %15s %18000s", name, hex) == 2 && (size = parse_hex(hex, packet)) > 0)
			done = send_frame(link_fd, name, packet, size);
		else if (sscanf(line, "ip %18000s", hex) == 1 && (size = parse_hex(hex, packet)) > 0)
			done = send_ip(ip_fds, packet, size);
		else if (!strcmp(line, "forget\n"))
			done = forget_connections(netfilter_fd);
		wait_until_processed();
		if (done < 0)
			printf("error %s\n", strerror(errno));
		else
			printf("sent\n");
	}
	return 0;
}
