/**
 * ONNX Runtime's telemetry, switched off: imported for its effect, by whatever may be the first module of decant that a process loads.
 * ONNX Runtime 1.30 keeps a device id and a database of events, the teacher's graph name among them, below the home folder, and looks
 * its maker's host up. It reads this variable from the process's own environment when it is loaded. A worker's `process.env` is a copy
 * which native code does not see, so the main thread sets it; processes that decant starts inherit it. What the user set stays.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'
