/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test's own frames: UDP with a run's cookie and a sequence number, sent
 * by AF_PACKET and counted where they come out.
 */
#ifndef KSERIES_FRAME_H
#define KSERIES_FRAME_H

#include <sys/types.h>
#include <linux/if_packet.h>

#include "types.h"

#define FRAME_MAX 128
/* Of them, what comes behind the headers: a UDP socket sends no more. */
#define FRAME_PAYLOAD 12

/* 198.18.0.0/15 is set aside for measurements. */
#define FRAME_SRC4 0xc6120001U
#define FRAME_DST4 0xc6120002U

struct frame {
	bool ether;
	u8 dst_mac[6];
	u16 port;		/* source port: tells flows apart */
	u8 tos;			/* the ECN bits are its lowest two */
	u32 cookie;
	u64 seq;
	u16 tail;		/* bytes behind it, for a filter to trim */
	u16 vlan;		/* an Ethernet frame's 802.1Q tag; 0: none */
};

size_t frame_build(void *buf, const struct frame *f);
/*
 * True for a frame of the same run (f->cookie) with f->tail bytes behind it, and
 * f->vlan in front; fills in port, tos and seq.
 */
bool frame_parse(const void *buf, size_t len, struct frame *f);

enum send_result {
	SEND_OK,
	SEND_NOBUFS,	/* the qdisc or the driver would not have it */
	SEND_NETDOWN,	/* noqueue over a stopped queue */
	SEND_BLOCKED,	/* would have slept */
	SEND_OTHER,	/* anything else, see error */
	SEND_RESULTS,
};

struct sender {
	int fd;
	int error;
	struct sockaddr_ll to;
	/* Its seq goes up only when a frame is accepted. */
	struct frame frame;
	u64 count[SEND_RESULTS];
};

/* @bypass: call the driver past the qdisc (PACKET_QDISC_BYPASS). */
void sender_open(struct sender *s, const char *dev, bool ether, bool bypass,
		 u32 cookie);
void sender_priority(struct sender *s, int priority);
enum send_result sender_send(struct sender *s);
/* Try @n frames; returns how many of them were accepted. */
unsigned int sender_send_many(struct sender *s, unsigned int n);
/* All that became a packet: accepted or not, but for the sends that would block. */
u64 sender_tried(const struct sender *s);
/* Adds the results of @s. */
void sender_add(struct sender *sum, const struct sender *s);
void sender_close(struct sender *s);

/* What came out at the far end, for one flow (or where flows don't matter). */
struct tally {
	bool ether;
	u16 tail;		/* these two set after tally_start(): see struct frame */
	u16 vlan;
	u32 cookie;
	u64 next;		/* lowest number not yet passed */
	u64 frames;
	u64 missing;	/* numbers jumped over */
	u64 repeated;	/* at or below one already seen */
	u64 marked;		/* of the frames, with ECN's CE */
	u64 foreign;	/* not a frame of this run */
};

void tally_start(struct tally *t, bool ether, u32 cookie);
void tally_frame(struct tally *t, const void *buf, size_t len);
/* The same for who hands frames to a function: see vhost_frame_fn. */
void tally_take(void *tally, const void *buf, size_t len);
/* Each of the first @n numbers once, in order, and nothing else. */
bool tally_exact(const struct tally *t, u64 n);

/* A listener (packet tap) that sees each frame that goes to the driver. */
struct listener {
	int fd;
	bool ether;
};

void listener_open(struct listener *l, const char *dev, bool ether);
/* The next frame that went to the driver, or -1 for none up to now. */
ssize_t listener_next(struct listener *l, void *buf, size_t size);
/* Enter all that was seen up to now into @t. */
void listener_collect(struct listener *l, struct tally *t);
void listener_close(struct listener *l);

#endif
