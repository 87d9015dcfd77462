// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else wants the device too, or the owner a queue that it has already:
 * that is refused, and changes nothing for those who send to it.
 *
 *   open    a second file for a device of one queue
 *   attach  a queue is attached that is attached
 */
#include <errno.h>
#include <string.h>

#include "choice.h"
#include "drops.h"
#include "ktap.h"
#include "netdev.h"
#include "ring.h"
#include "run.h"

enum part { PART_OPEN, PART_ATTACH };

static const char * const parts[] = { "open", "attach", NULL };

int main(int argc, char **argv)
{
	enum part part = (enum part)choice_take(&argc, argv, "part", parts, 0);
	int err, want = part == PART_OPEN ? -EBUSY : -EINVAL;
	unsigned int n, got;
	struct run x = {};

	scenario_parse(&x.sc, argc, argv, NULL, 0);
	scenario_need_one_queue(&x.sc);
	if (!scenario_owns_queue(&x.sc) || !x.sc.len)
		ktap_bail("refused_open takes tun or tap, a length above 0");
	x.sc.multi_queue = part == PART_ATTACH;
	n = ring_room(x.sc.len);
	ktap_plan(3);
	netns_enter();
	drops_start("FULL_RING");
	run_open(&x, "refused0");
	reader_start(&x.r);
	if (part == PART_OPEN)
		err = tuntap_try_open(x.b.dev, tuntap_flags(x.b.fd[0]));
	else
		err = tuntap_try_queue(x.b.fd[0], true);
	ktap_ok(err == want, "it is refused: %s", strerror(-err));
	run_send(&x, n);
	got = reader_take(&x.r, n);
	ktap_ok(got == n, "frames come out as before: %u of %u", got, n);
	ktap_ok(tally_exact(&x.out, n) && !drops_count(),
		"once and in order: %llu missing, %llu dropped", x.out.missing,
		drops_count());
	run_close(&x);
	drops_stop();
	return ktap_status();
}
