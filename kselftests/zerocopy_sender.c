// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sender by MSG_ZEROCOPY gets its pages back when its frame enters the ring:
 * the reader may take as long as it likes to come for it, and the sender may
 * write to them meanwhile. What waits in front of a full ring keeps its pages.
 * With --how handed_back the qdisc comes only when the ring is full already: the
 * first that waits was in the driver, which has handed it back.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/errqueue.h>
#include <linux/if_tun.h>

#include "choice.h"
#include "drops.h"
#include "feeder.h"
#include "ktap.h"
#include "netdev.h"
#include "qdisc.h"
#include "run.h"

#define MOST 80
#define EXTRA 2

enum how { HOW_QUEUED, HOW_HANDED_BACK };

static const char * const hows[] = { "queued", "handed_back", NULL };

/* How many sends the kernel has given the pages of back. */
static unsigned int given_back(int fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(struct sock_extended_err) + 64)];
	} control;
	const struct sock_extended_err *ee;
	struct msghdr msg;
	struct cmsghdr *c;
	unsigned int n = 0;

	for (;;) {
		msg = (struct msghdr) {
			.msg_control = control.buf,
			.msg_controllen = sizeof(control.buf),
		};
		if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
			if (errno == EAGAIN)
				return n;
			ktap_bail("MSG_ERRQUEUE: %s", strerror(errno));
		}
		for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			ee = (const void *)CMSG_DATA(c);
			if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR &&
			    ee->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
				n += ee->ee_data - ee->ee_info + 1;
		}
	}
}

/*
 * Each from a buffer of its own, since the kernel may not have taken it yet. All
 * that were @given back before are wiped.
 */
static void send_some(struct feeder *f, unsigned int n, unsigned int given)
{
	static char frames[MOST][FRAME_MAX];
	struct frame *next = &f->packet.frame;
	char *buf;

	memset(frames, 0, given * sizeof(frames[0]));
	for (; n; n--, next->seq++) {
		buf = frames[next->seq];
		buf += frame_build(buf, next) - FRAME_PAYLOAD;
		if (send(f->fd, buf, FRAME_PAYLOAD, MSG_ZEROCOPY | MSG_DONTWAIT) < 0)
			ktap_bail("send: %s", strerror(errno));
	}
}

int main(int argc, char **argv)
{
	const int one = 1, room = 1 << 16;
	enum how how = (enum how)choice_take(&argc, argv, "how", hows,
					     HOW_QUEUED);
	unsigned int back, late, want;
	const char *qdisc;
	struct feeder f;
	struct run x;

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	if (!scenario_owns_queue(&x.sc) || !x.sc.len || x.sc.len > MOST - EXTRA)
		ktap_bail("tun and tap only, and a ring of 1 to %d", MOST - EXTRA);
	qdisc = x.sc.qdisc;
	if (how == HOW_HANDED_BACK) {
		if (!qdisc_holds(qdisc))
			ktap_bail("only a frame for a qdisc is handed back");
		x.sc.qdisc = "noqueue";
	}
	ktap_plan(3);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "zero0");
	/* Without this the network does not take pages, but copies at once. */
	tuntap_offload(x.b.fd[0], TUN_F_CSUM);
	feeder_open(&f, &x.b, &x.sc, VIA_UDP);
	/* A frame with pages takes more of it than a feeder has. */
	if (setsockopt(f.fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ||
	    setsockopt(f.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)))
		ktap_bail("SO_ZEROCOPY: %s", strerror(errno));

	send_some(&f, x.sc.len, 0);
	back = given_back(f.fd);
	ktap_ok(back == x.sc.len, "what is in the ring keeps no pages: %u of %u given back",
		back, x.sc.len);

	if (how == HOW_HANDED_BACK)
		qdisc_replace(x.b.dev, qdisc);
	send_some(&f, EXTRA, back);
	late = given_back(f.fd);
	ktap_ok(late == drops_count(), "of the others only what is dropped: %u of %d",
		late, EXTRA);

	reader_start(&x.r);
	want = x.sc.len + EXTRA - late;
	reader_take(&x.r, want);
	if (!ktap_ok(tally_exact(&x.out, want),
		     "all else comes out once, in order, as it was sent"))
		ktap_diag("%llu of %u frames, %llu missing, %llu repeated",
			  x.out.frames, want, x.out.missing, x.out.repeated);
	feeder_close(&f);
	run_close(&x);
	drops_stop();
	return ktap_status();
}
