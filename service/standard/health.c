/*
 * Health: which services serve.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A watch is a call that is kept.  It is sent the state of its service at once
 * and whenever it is another; a client that does not read gets the newest state
 * when it does, and not those in between.
 */
#include "standard/standard_private.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "grpc/health/v1/health.pb-c.h"
#include "wire/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckRequest request_msg;
typedef Grpc__Health__V1__HealthCheckResponse response_msg;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING                                                            \
	GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN                                                        \
	GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

struct health_watch {
	struct health_watch *next;
	struct msn_standard *standard;
	struct msn_call *call;		/* a reference */
	struct health_service *service; /* NULL: there is none */
	serving_status told;
	bool behind; /* waits until the client has read */
};

/* ---- services ------------------------------------------------------------ */

static struct health_service *find(const struct msn_standard *s,
				   const char *name)
{
	for (size_t i = 0; i < s->service_count; i++)
		if (strcmp(s->services[i].name, name) == 0)
			return &s->services[i];
	return NULL;
}

/* Adds the service of a row, if it is not the one before. */
static void add_service(struct msn_standard *s, const struct msn_method *row)
{
	struct health_service *next = &s->services[s->service_count];
	size_t len;
	const char *name = msn_method_service(row, &len);

	msn_assert(s->service_count <= STANDARD_SERVICES_MAX &&
		   len < sizeof(next->name));
	memcpy(next->name, name, len);
	if (strcmp(next->name, next[-1].name) == 0)
		return;
	next->serves = true;
	s->service_count++;
}

int msn_standard_init(struct msn_standard *s, const struct msn_methods *methods,
		      const void *descriptors, size_t len)
{
	size_t count;
	const struct msn_method *const *rows = msn_methods_all(methods, &count);

	*s = (struct msn_standard){ .descriptors = descriptors,
				    .descriptors_len = len };
	/* "", the services, and one that is tried. */
	s->services = msn_alloc_array(STANDARD_SERVICES_MAX + 2,
				      sizeof(*s->services));
	if (!s->services)
		return msn_fail(-ENOMEM);
	s->services[0].serves = true;
	s->service_count = 1;
	for (size_t i = 0; i < count; i++)
		add_service(s, rows[i]);
	return 0;
}

void msn_standard_deinit(struct msn_standard *s)
{
	free(s->services);
	s->services = NULL;
	s->service_count = 0;
}

/* ---- telling ------------------------------------------------------------- */

static serving_status state(const struct health_service *service)
{
	if (!service)
		return SERVICE_UNKNOWN;
	return service->serves ? SERVING : NOT_SERVING;
}

static int say(struct msn_call *call, serving_status what)
{
	response_msg response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	response.status = what;
	return msn_pass(msn_call_send(call, &response.base, NULL));
}

/* Takes a watch out of its list and frees it, but for the call. */
static struct msn_call *watch_end(struct health_watch *w)
{
	struct health_watch **at = &w->standard->watches;
	struct msn_call *call = w->call;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	free(w);
	return call;
}

static void watch_finish(struct health_watch *w, int rc)
{
	struct msn_call *call = watch_end(w);

	msn_call_on_cancel(call, NULL, NULL);
	msn_call_on_drained(call, NULL, NULL);
	msn_call_finish(call, rc);
	msn_call_unref(call);
}

static void watch_cancelled(struct msn_call *call, void *ctx)
{
	(void)call;
	watch_finish(ctx, -ECANCELED);
}

static void watch_tell(struct health_watch *w);

static void watch_drained(struct msn_call *call, void *ctx)
{
	struct health_watch *w = ctx;

	(void)call;
	w->behind = false;
	watch_tell(w);
}

static void watch_tell(struct health_watch *w)
{
	serving_status now = state(w->service);
	int rc;

	if (w->behind || now == w->told)
		return;
	rc = say(w->call, now);
	if (rc == -EAGAIN) {
		w->behind = true;
		msn_call_on_drained(w->call, watch_drained, w);
	} else if (rc == 0) {
		w->told = now;
	}
}

static void tell_all(struct msn_standard *s, const struct health_service *about)
{
	struct health_watch *w, *next;

	for (w = s->watches; w; w = next) {
		next = w->next;
		if (!about || w->service == about)
			watch_tell(w);
	}
}

bool msn_health_set(struct msn_standard *s, const char *service, bool serves)
{
	struct health_service *one = service ? find(s, service) : NULL;

	if (service && !one)
		return false;
	for (size_t i = 0; i < s->service_count; i++)
		if (!one || one == &s->services[i])
			s->services[i].serves = serves && !s->ending;
	tell_all(s, one);
	return true;
}

bool msn_health_get(const struct msn_standard *s)
{
	return s->services[0].serves;
}

static int ending(struct msn_call *call)
{
	return msn_call_fail(call, MSN_CODE_UNAVAILABLE, "DRAINING",
			     "the service is about to end");
}

void msn_health_end(struct msn_standard *s)
{
	s->ending = true;
	msn_health_set(s, NULL, false);
	while (s->watches)
		watch_finish(s->watches, ending(s->watches->call));
}

/* ---- methods ------------------------------------------------------------- */

static int check(struct msn_call *call, const ProtobufCMessage *message)
{
	const request_msg *request = (const request_msg *)message;
	struct msn_standard *s = msn_call_context(call);
	const struct health_service *service = find(s, request->service);

	if (!service)
		return msn_call_fail(
			call, MSN_CODE_NOT_FOUND, "SERVICE_NOT_FOUND",
			"no service is called %s", request->service);
	return say(call, state(service));
}

static int watch(struct msn_call *call, const ProtobufCMessage *message)
{
	const request_msg *request = (const request_msg *)message;
	struct msn_standard *s = msn_call_context(call);
	struct health_service *service = find(s, request->service);
	struct health_watch *w;
	int rc;

	rc = say(call, state(service));
	if (rc)
		return msn_pass(rc);
	if (s->ending)
		return ending(call);
	w = msn_alloc(sizeof(*w));
	if (!w)
		return msn_fail(-ENOMEM);
	*w = (struct health_watch){ .next = s->watches,
				    .standard = s,
				    .call = msn_call_ref(call),
				    .service = service,
				    .told = state(service) };
	s->watches = w;
	msn_call_on_cancel(call, watch_cancelled, w);
	return MSN_METHOD_E_LATER;
}

const struct msn_method msn_health_methods[] = {
	{
		.path = "/grpc.health.v1.Health/Check",
		.request = &grpc__health__v1__health_check_request__descriptor,
		.response =
			&grpc__health__v1__health_check_response__descriptor,
		.flags = MSN_METHOD_WHILE_DRAINING,
		.run = check,
	},
	{
		.path = "/grpc.health.v1.Health/Watch",
		.request = &grpc__health__v1__health_check_request__descriptor,
		.response =
			&grpc__health__v1__health_check_response__descriptor,
		.flags = MSN_METHOD_SERVER_STREAM | MSN_METHOD_WHILE_DRAINING,
		.run = watch,
	},
	{ 0 },
};
