/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes whatever a queue has, of many flows at once, and never blocks for long. */
#ifndef KSERIES_INTAKE_H
#define KSERIES_INTAKE_H

#include "types.h"
#include "vhost.h"

struct intake {
	int fd;
	vhost_frame_fn frame;
	void *arg;
	struct vhost *vhost;
};

/* By reads, or by vhost, which takes its first batch here. */
void intake_open(struct intake *in, int fd, bool vhost, vhost_frame_fn frame,
		 void *arg);
/* All that is there, or comes first within @timeout_ms; how many frames. */
unsigned int intake_some(struct intake *in, int timeout_ms);
/* These three not by vhost: wait for a frame, take at most @n at once. */
void intake_wait(struct intake *in, int timeout_ms);
unsigned int intake_only(struct intake *in, unsigned int n);
/* And take @n; less only after a stall. */
unsigned int intake_take(struct intake *in, unsigned int n, unsigned int stall_ms);
/* What vhost holds goes back to the ring: look once more by reads. */
unsigned int intake_close(struct intake *in);

#endif
