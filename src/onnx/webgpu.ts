import type { InferenceSession } from 'onnxruntime-node'

/**
 * The WebGPU provider as this project runs it. Its default layout, NHWC, convolves wrongly in onnxruntime-node 1.30 where
 * the input's channels divide by 3, not by 4, and are more than 3, and the output's divide by 4 (microsoft/onnxruntime#29651).
 */
export const webgpu = {
  name: 'webgpu',
  preferredLayout: 'NCHW',
} as const satisfies InferenceSession.ExecutionProviderConfig

/** What a user can do about the runtime's refusal of a model on WebGPU, in front of the runtime's own words. */
export function explainWebgpu(reason: string): string {
  if (!/WebGPU adapter/.test(reason)) return reason.split('\n')[0]!
  return (
    'no WebGPU adapter: it takes the Vulkan loader (libvulkan.so.1) and the driver of a GPU, or, without one, ' +
    "SwiftShader's, which VK_ICD_FILENAMES has to name (Debian: packages libvulkan1 and chromium, " +
    '/usr/lib/chromium/vk_swiftshader_icd.json)'
  )
}

/** The runtime's words where part of a model would run on the processor instead and `withoutFallback` forbids it. */
export const isFallback = (reason: string): boolean => /fallback to CPU EP/.test(reason)

/** What the provider cannot run is an error then, not a detour over the processor. */
export function withoutFallback(options: InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  const session = { ...(options.extra?.session as object | undefined), disable_cpu_ep_fallback: '1' }
  return { ...options, extra: { ...options.extra, session } }
}
