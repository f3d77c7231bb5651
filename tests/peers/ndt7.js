// Lets M-Lab's own ndt7 client measure: node ndt7.js HOST:PORT ws|wss download|upload.
//
// The client is written for browsers: it runs its tests in a Web Worker, over the browser's WebSocket. Both
// are made here from what node has. Prints what the client came to know, as one line of JSON. NODE_PATH names
// the folder with @m-lab/ndt7 and ws.
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');
const threads = require('worker_threads');

if (threads.isMainThread) {
  globalThis.Worker = class {
    constructor(file) {
      this.thread = new threads.Worker(__filename, {workerData: file});
      this.thread.on('message', (data) => this.onmessage({data}));
      this.thread.on('error', (error) =>
        this.onmessage({data: {MsgType: 'error', Error: String(error)}}));
    }
    postMessage(data) {
      this.thread.postMessage(data);
    }
    terminate() {
      this.thread.terminate();
    }
  };
  measure(...process.argv.slice(2));
} else {
  globalThis.self = globalThis;
  globalThis.postMessage = (data) => threads.parentPort.postMessage(data);
  // The client counts the length of what it is handed, which an ArrayBuffer does not have.
  globalThis.WebSocket = class extends require('ws') {
    constructor(...of) {
      super(...of);
      this.binaryType = 'nodebuffer';
      this.on('error', (error) => console.error(String(error)));
    }
  };
  vm.runInThisContext(fs.readFileSync(threads.workerData, 'utf8'));
  threads.parentPort.on('message', (data) => self.onmessage({data}));
}

async function measure(server, protocol, direction) {
  const ndt7 = require('@m-lab/ndt7');
  const folder = path.dirname(require.resolve('@m-lab/ndt7'));
  const config = {
    server,
    protocol,
    metadata: {client_name: 'messnetz-test'},
    // The server is no server of M-Lab's.
    mlabDataPolicyInapplicable: true,
    downloadworkerfile: path.join(folder, 'ndt7-download-worker.js'),
    uploadworkerfile: path.join(folder, 'ndt7-upload-worker.js'),
  };
  const said = {};
  const callbacks = {error: (error) => said.error = String(error)};
  callbacks[`${direction}Complete`] = (last) => {
    said.client = last.LastClientMeasurement;
    said.server = last.LastServerMeasurement;
  };
  said.code = await ndt7[`${direction}Test`](
      config, callbacks, ndt7.discoverServerURLs(config, callbacks));
  console.log(JSON.stringify(said));
}
