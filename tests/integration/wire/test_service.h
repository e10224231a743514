/*
 * grpc.testing.TestService: what the published interop tests of gRPC call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_WIRE_TEST_SERVICE_H
#define MSN_TESTS_WIRE_TEST_SERVICE_H

#include "wire/method.h"

extern const struct msn_method test_service_methods[];

#endif /* MSN_TESTS_WIRE_TEST_SERVICE_H */
