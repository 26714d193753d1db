/* SPDX-License-Identifier: Apache-2.0 */
/* Echo server: every port on TCP and UDP, both families. "--discard PORT" reads and throws away instead. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { LISTENER, ECHO, DISCARD, DATAGRAM };

/* epoll data: the descriptor, its kind and whether accepted connections discard. */
static uint64_t tag(int fd, enum kind kind, int discard)
{
	return (uint64_t)(uint32_t)fd | (uint64_t)kind << 32 | (uint64_t)discard << 40;
}

static void watch(int ep, int fd, enum kind kind, int discard)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag(fd, kind, discard) };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static int open_socket(int type, int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any };
	int one = 1, zero = 0, room = 64 << 20;
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	/* A server that is not scheduled for a while is not to lose what it was sent. */
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("bind");
	if (type == SOCK_STREAM && listen(fd, 4096))
		die("listen");
	return fd;
}

static void accept_all(int ep, int fd, int discard)
{
	for (;;) {
		int one = 1;
		int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer < 0)
			return;
		setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(ep, peer, discard ? DISCARD : ECHO, discard);
	}
}

static void serve_stream(int fd, int discard)
{
	static char buffer[256 * 1024];
	ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A short write would need a queue; requests are small, so the connection is given up instead. */
	if (got <= 0 || (!discard && send(fd, buffer, (size_t)got, 0) != got))
		close(fd);
}

static void serve_datagrams(int fd)
{
	static char buffer[64 * 1024];

	for (int i = 0; i < 64; i++) {
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		ssize_t got = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &size);

		if (got < 0)
			return;
		sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&peer, size);
	}
}

int serve_main(int argc, char **argv)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int discard = 0;
	struct epoll_event events[256];

	if (ep < 0)
		die("epoll_create1");
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--discard")) {
			discard = 1;
			continue;
		}
		long port = parse_number(argv[i], 1, 65535, "port");

		watch(ep, open_socket(SOCK_STREAM, (int)port), LISTENER, discard);
		if (!discard)
			watch(ep, open_socket(SOCK_DGRAM, (int)port), DATAGRAM, 0);
		discard = 0;
	}
	printf("ready\n");
	for (;;) {
		int count = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < count; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;
			enum kind kind = (enum kind)(events[i].data.u64 >> 32 & 0xff);

			if (kind == LISTENER)
				accept_all(ep, fd, (int)(events[i].data.u64 >> 40));
			else if (kind == DATAGRAM)
				serve_datagrams(fd);
			else
				serve_stream(fd, kind == DISCARD);
		}
	}
}
