/* SPDX-License-Identifier: Apache-2.0 */
/* margay-load: sockets on both ends of a test or a benchmark. One sub-command a file. */
#ifndef MARGAY_LOAD_H
#define MARGAY_LOAD_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

/* Monotonic clock, ns. */
uint64_t now_ns(void);

/* Prints "margay-load: WHAT: strerror" and exits 1. */
void die(const char *what) __attribute__((noreturn));

/* Parses "10.0.0.1" or "fd00::1" with a port; exits with a message if it is neither. Returns the length. */
socklen_t parse_address(const char *text, int port, struct sockaddr_storage *out);

/* Parses a whole number from min to max; exits with a message naming `what` otherwise. */
long parse_number(const char *text, long min, long max, const char *what);

int serve_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int measure_main(int argc, char **argv);
int flow_main(int argc, char **argv);
int inject_main(int argc, char **argv);
int sink_main(int argc, char **argv);
int storm_main(int argc, char **argv);

#endif
