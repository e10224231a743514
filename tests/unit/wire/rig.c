/*
 * A server of the test service in this process.  See rig.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rig.h"

#include "base/fault.h"
#include "support/check.h"
#include "wire/method.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct rig *rig_of(void *context)
{
	struct service *s = context;

	return msn_container_of(s, struct rig, service);
}

static void note_ended(void *context, const struct msn_call_record *record)
{
	struct rig *r = rig_of(context);
	struct rig_ended *e = &r->ended[r->ended_count++ % RIG_ENDED_MAX];

	*e = (struct rig_ended){ .code = record->status->code,
				 .received = record->received_bytes,
				 .sent = record->sent_bytes };
	snprintf(e->path, sizeof(e->path), "%s",
		 record->method ? record->method->path : "");
	snprintf(e->reason, sizeof(e->reason), "%s", record->status->reason);
}

void rig_init(struct rig *r, const struct msn_server_opts *opts)
{
	struct msn_server_opts o = { 0 };

	memset(r, 0, sizeof(*r));
	service_init(&r->service);
	CHECK(msn_loop_new(&r->loop) == 0);
	r->service.loop = r->loop;
	CHECK(msn_workers_new(&r->workers, &(struct msn_workers_opts){
						   .name = "rig",
						   .threads_max = 8,
						   .queue_max = 64,
						   .idle_ms = 1000 }) == 0);
	r->methods = service_methods();
	if (opts)
		o = *opts;
	o.loop = r->loop;
	o.workers = r->workers;
	o.methods = r->methods;
	o.context = &r->service;
	o.ended = note_ended;
	CHECK(msn_server_new(&r->server, &o, NULL) == 0);
}

void rig_deinit(struct rig *r)
{
	msn_server_free(r->server);
	msn_workers_free(r->workers);
	msn_loop_free(r->loop);
	msn_methods_free(r->methods);
}

void rig_round(struct rig *r)
{
	CHECK(sd_event_run(msn_loop_event(r->loop), UINT64_MAX) >= 0);
}

void rig_settle(struct rig *r)
{
	int rc;

	do
		rc = sd_event_run(msn_loop_event(r->loop), 0);
	while (rc > 0);
	CHECK(rc == 0);
}

void rig_await_memory(struct rig *r)
{
	while (rig_usage(r).buffered_bytes > 0) {
		rig_settle(r);
		usleep(100);
	}
}

struct msn_server_usage rig_usage(const struct rig *r)
{
	struct msn_server_usage u;

	msn_server_usage(r->server, &u);
	return u;
}
