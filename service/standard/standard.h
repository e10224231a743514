/*
 * Standard: the services that every gRPC server offers, health and reflection.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * They are tables of methods like any other.  What they need to know stands in
 * struct msn_standard, with which the server's context begins:
 *
 *    struct my_context {
 *            struct msn_standard standard;
 *            ...
 *    };
 *
 * so that their handlers find it by msn_call_context().
 *
 * Health is kept for each service that has methods, and for "", the whole.  A
 * client may ask for it (Check) or be told of changes (Watch).
 *
 * Locks: thread of the loop; reflection reads what is set once.
 */
#ifndef MSN_STANDARD_STANDARD_H
#define MSN_STANDARD_STANDARD_H

#include "base/cleanup.h"
#include "wire/method.h"

#include <stdbool.h>
#include <stddef.h>

struct health_service;
struct health_watch;

struct msn_standard {
	const void *descriptors;	 /* borrowed; set once */
	size_t descriptors_len;		 /* set once */
	struct health_service *services; /* owned; the first is "" */
	size_t service_count;		 /* set once */
	struct health_watch *watches;	 /* owned: calls under way */
	bool ending;
};

/* grpc.health.v1.Health, of role NONE. */
extern const struct msn_method msn_health_methods[];
/* grpc.reflection.v1 and v1alpha, of role NONE. */
extern const struct msn_method msn_reflection_methods[];

/*
 * Makes ready for serving @methods, whose descriptors are @descriptors (a
 * serialised FileDescriptorSet).  Every service serves.
 */
MSN_MUST_CHECK int msn_standard_init(struct msn_standard *s,
				     const struct msn_methods *methods,
				     const void *descriptors, size_t len);

/* After the server: no call is under way. */
void msn_standard_deinit(struct msn_standard *s);

/*
 * Says whether a service, NULL for all of them and the whole, serves; those who
 * watch it are told.  False: there is no such service.
 */
bool msn_health_set(struct msn_standard *s, const char *service, bool serves);

/* Is the whole healthy? */
bool msn_health_get(const struct msn_standard *s);

/*
 * The server will end: nothing serves any more, whoever watches is told so and
 * then that the call is over.
 */
void msn_health_end(struct msn_standard *s);

#endif /* MSN_STANDARD_STANDARD_H */
