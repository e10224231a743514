// SPDX-License-Identifier: Apache-2.0
/*
 * The published interop cases of gRPC, by @grpc/grpc-js:
 *
 *     NODE_PATH=... node interop.js <folder of .proto> <address> [<ca.pem>]
 *
 * Prints the name of each case that held, and fails with the first that did
 * not.
 */
"use strict";
const assert = require("assert");
const fs = require("fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [folder, address, ca] = process.argv.slice(2);
const types = grpc.loadPackageDefinition(loader.loadSync(
	"grpc/testing/test.proto", { includeDirs: [folder], keepCase: true })).grpc.testing;
const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) :
			 grpc.credentials.createInsecure();
const options = { "grpc.max_receive_message_length": -1 };
const client = new types.TestService(address, credentials, options);
const other = new types.UnimplementedService(address, credentials, options);

const SIZES_IN = [27182, 8, 1828, 45904];
const SIZES_OUT = [31415, 9, 2653, 58979];
const INITIAL = "x-grpc-test-echo-initial";
const TRAILING = "x-grpc-test-echo-trailing-bin";

function unary(stub, name, request, metadata, seen)
{
	return new Promise((resolve, reject) => {
		const call = stub[name](request, metadata || new grpc.Metadata(),
			(error, answer) => error ? reject(error) : resolve(answer));

		if (seen) {
			call.on("metadata", (m) => { seen.initial = m; });
			call.on("status", (s) => { seen.trailing = s.metadata; });
		}
	});
}

/* All messages of a call, or the status with which it failed. */
function drain(call)
{
	return new Promise((resolve, reject) => {
		const got = [];

		call.on("data", (m) => got.push(m.payload.body.length));
		call.on("error", reject);
		call.on("end", () => resolve(got));
	});
}

async function fails(code, promise)
{
	const error = await promise.then(() => null, (e) => e);

	assert(error, "it did not fail");
	assert.strictEqual(error.code, code, error.message);
	return error;
}

const output = (sizes, us) => ({
	response_parameters: sizes.map((size) => ({ size, interval_us: us || 0 })),
});
const payload = (n) => ({ body: Buffer.alloc(n) });

const cases = {
	async empty_unary() {
		await unary(client, "EmptyCall", {});
	},
	async large_unary() {
		const answer = await unary(client, "UnaryCall",
			{ response_size: 314159, payload: payload(271828) });

		assert.strictEqual(answer.payload.body.length, 314159);
	},
	async client_streaming() {
		const sum = await new Promise((resolve, reject) => {
			const call = client.StreamingInputCall((error, answer) =>
				error ? reject(error) :
					resolve(answer.aggregated_payload_size));

			SIZES_IN.forEach((n) => call.write({ payload: payload(n) }));
			call.end();
		});

		assert.strictEqual(sum, 74922);
	},
	async server_streaming() {
		assert.deepStrictEqual(
			await drain(client.StreamingOutputCall(output(SIZES_OUT))),
			SIZES_OUT);
	},
	async ping_pong() {
		const call = client.FullDuplexCall();
		let turn = 0;
		const send = () => turn < 4 ?
			call.write({ ...output([SIZES_OUT[turn]]),
				     payload: payload(SIZES_IN[turn]) }) :
			call.end();

		call.on("data", (m) => {
			assert.strictEqual(m.payload.body.length,
					   SIZES_OUT[turn++]);
			send();
		});
		send();
		assert.strictEqual((await drain(call)).length, 4);
	},
	async empty_stream() {
		const call = client.FullDuplexCall();

		call.end();
		assert.deepStrictEqual(await drain(call), []);
	},
	async status_code_and_message() {
		const response_status = { code: 2, message: "test status message" };
		const call = client.FullDuplexCall();
		let error = await fails(2, unary(client, "UnaryCall",
						 { response_status }));

		assert.strictEqual(error.details, response_status.message);
		call.write({ response_status });
		call.end();
		error = await fails(2, drain(call));
		assert.strictEqual(error.details, response_status.message);
	},
	async special_status_message() {
		const message = "\t\ntest with whitespace\r\nand Unicode BMP " +
			"\u263a and non-BMP \u{1f608}\t\n";
		const error = await fails(2, unary(client, "UnaryCall",
			{ response_status: { code: 2, message } }));

		assert.strictEqual(error.details, message);
	},
	async unimplemented_method() {
		await fails(12, unary(client, "UnimplementedCall", {}));
	},
	async unimplemented_service() {
		await fails(12, unary(other, "UnimplementedCall", {}));
	},
	async cancel_after_begin() {
		await fails(1, new Promise((resolve, reject) => {
			const call = client.StreamingInputCall((error, answer) =>
				error ? reject(error) : resolve(answer));

			call.cancel();
		}));
	},
	async cancel_after_first_response() {
		const call = client.FullDuplexCall();

		call.on("data", () => call.cancel());
		call.write({ ...output([31415]), payload: payload(27182) });
		await fails(1, drain(call));
	},
	async timeout_on_sleeping_server() {
		const call = client.FullDuplexCall({ deadline: Date.now() + 1 });

		call.write({ ...output([31415], 60000000),
			     payload: payload(27182) });
		await fails(4, drain(call));
	},
	async custom_metadata() {
		const sent = new grpc.Metadata(), seen = {};
		const bytes = Buffer.from([0xab, 0xab, 0xab, 0]);
		const check = (s) => {
			assert.deepStrictEqual(s.initial.get(INITIAL),
					       ["test_initial_metadata_value"]);
			assert.deepStrictEqual(s.trailing.get(TRAILING), [bytes]);
		};
		let call;

		sent.set(INITIAL, "test_initial_metadata_value");
		sent.set(TRAILING, bytes);
		await unary(client, "UnaryCall", { response_size: 314159 }, sent,
			    seen);
		check(seen);
		call = client.FullDuplexCall(sent);
		call.on("metadata", (m) => { seen.initial = m; });
		call.on("status", (s) => { seen.trailing = s.metadata; });
		call.write(output([9]));
		call.end();
		await drain(call);
		check(seen);
	},
};

async function main()
{
	for (const [name, run] of Object.entries(cases)) {
		try {
			await run();
		} catch (error) {
			console.error(`${name}: ${error.stack}`);
			process.exit(1);
		}
		console.log(name);
	}
	/* Closing clients is not enough: a connection that one was just making
	 * is made all the same, and keeps the program. */
	process.exit(0);
}

main();
