/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A filter on a tun or tap device that takes a few bytes off each frame: an eBPF
 * program, or on a tap one of its socket. A frame that is processed twice loses
 * as much again.
 */
#ifndef KSERIES_TRIM_H
#define KSERIES_TRIM_H

#define TRIM_BYTES 4
/* What the senders put behind a frame, and what is left of it. */
#define TRIM_TAIL 16
#define TRIM_LEFT (TRIM_TAIL - TRIM_BYTES)

void trim_attach(int tun_fd);
void trim_attach_socket(int tap_fd);

#endif
