/*
 * The service of wire_test.proto: handlers of every kind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_WIRE_SERVICE_H
#define MSN_TESTS_WIRE_SERVICE_H

#include "loop/loop.h"
#include "wire/method.h"

#include <semaphore.h>
#include <stdatomic.h>

/* What handlers share with the test: msn_call_context(). */
struct service {
	struct msn_loop *loop;
	sem_t held;	      /* posted by each Hold and Sum that has begun */
	sem_t let_go;	      /* each Hold waits for one, or to be cancelled */
	atomic_uint running;  /* handlers on workers */
	atomic_uint at_once;  /* the most of these */
	atomic_uint ran;      /* handlers in all */
	atomic_uint sent;     /* messages that Count could send */
	atomic_uint released; /* payloads of these */
	atomic_int last_rc;   /* of the stream that ended last */
	unsigned cancelled;   /* Keeps that were told */
};

void service_init(struct service *s);

/* The table of the service, and its lookup table. */
extern const struct msn_method *const service_tables[];
struct msn_methods *service_methods(void);

/* The FileDescriptorSet of it, for free(). */
void *service_descriptors(size_t *len);

#endif /* MSN_TESTS_WIRE_SERVICE_H */
