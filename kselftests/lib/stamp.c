// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#include "ktap.h"
#include "stamp.h"

#define QUEUE_BYTES (256 << 20)

#ifndef SCM_TIMESTAMPING
#define SCM_TIMESTAMPING SO_TIMESTAMPING
#endif

void stamp_on(struct sender *s)
{
	int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
		    SOF_TIMESTAMPING_OPT_ID;
	int bytes = QUEUE_BYTES;

	/* A timestamp that finds no room is lost without a trace. */
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		       sizeof(bytes)))
		ktap_bail("SO_RCVBUFFORCE: %s", strerror(errno));
	if (setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
		       sizeof(flags)))
		ktap_bail("SO_TIMESTAMPING: %s", strerror(errno));
}

void stamp_start(struct stamps *st, bool ether, u32 cookie, u16 tail)
{
	memset(st, 0, sizeof(*st));
	tally_start(&st->tally, ether, cookie);
	st->tally.tail = tail;
}

static void enter(struct stamps *st, struct msghdr *msg, size_t len)
{
	struct sock_extended_err err = {};
	struct scm_timestamping time = {};
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		if (cm->cmsg_level == SOL_SOCKET &&
		    cm->cmsg_type == SCM_TIMESTAMPING)
			memcpy(&time, CMSG_DATA(cm), sizeof(time));
		else if (cm->cmsg_level == SOL_PACKET &&
			 cm->cmsg_type == PACKET_TX_TIMESTAMP)
			memcpy(&err, CMSG_DATA(cm), sizeof(err));
	}
	if (err.ee_origin != SO_EE_ORIGIN_TIMESTAMPING ||
	    err.ee_info != SCM_TSTAMP_SND)
		ktap_bail("error queue: origin %u, info %u, errno %u",
			  err.ee_origin, err.ee_info, err.ee_errno);
	st->blank += !time.ts[0].tv_sec && !time.ts[0].tv_nsec;
	st->disorder += err.ee_data < st->next_id;
	st->next_id = (u64)err.ee_data + 1;
	tally_frame(&st->tally, msg->msg_iov->iov_base, len);
}

void stamp_collect(struct stamps *st, const struct sender *s)
{
	char frame[FRAME_MAX], control[512];
	struct iovec iov = { frame, sizeof(frame) };
	struct msghdr msg;
	ssize_t len;

	for (;;) {
		msg = (struct msghdr) {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		len = recvmsg(s->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			break;
		enter(st, &msg, (size_t)len);
	}
	if (errno != EAGAIN)
		ktap_bail("error queue: %s", strerror(errno));
}

bool stamp_well(const struct stamps *st)
{
	return !st->blank && !st->disorder && !st->tally.repeated &&
	       !st->tally.foreign;
}

unsigned int stamp_memory(const struct sender *s)
{
	int bytes;

	if (ioctl(s->fd, SIOCOUTQ, &bytes))
		ktap_bail("SIOCOUTQ: %s", strerror(errno));
	return (unsigned int)bytes;
}
