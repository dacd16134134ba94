import { DecantError } from '../errors.js'
import type { Manifest } from './manifest.js'

/** The hub's own names (https://huggingface.co/docs/hub/repositories-licenses). Any other is `other` there, with a `license_name`. */
const HUB = new Set(
  `apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0 artistic-2.0
  bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
  cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
  cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
  agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0
  odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
  fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 gemma unknown other`.split(/\s+/),
)

/** Where SPDX and the hub differ by more than capitals and `-only`, `-or-later`. */
const RENAMED: Record<string, string> = {
  'odbl-1.0': 'odbl',
  'odc-by-1.0': 'odc-by',
  'pddl-1.0': 'pddl',
  'gfdl-1.3': 'gfdl',
}

/** A licence in the hub's spelling; undefined where the hub does not list it. */
export function hubLicence(licence: string): string | undefined {
  const name = licence.toLowerCase().replace(/-(only|or-later)$/, '')
  const id = RENAMED[name] ?? name
  return HUB.has(id) ? id : undefined
}

/**
 * What is shared says under which licences.
 * @throws DecantError naming what is not stated and the command that states it
 */
export function checkLicences({ license, teacherLicense }: Pick<Manifest, 'license' | 'teacherLicense'>, dir: string) {
  const missing = [...(license ? [] : ['the data']), ...(teacherLicense ? [] : ['the teacher'])]
  if (missing.length === 0) return
  const flags = [...(license ? [] : ['--license <id>']), ...(teacherLicense ? [] : ['--teacher-license <id>'])]
  throw new DecantError(
    `${dir}: the licence of ${missing.join(' and of ')} is not stated, and what is shared must say it: decant license ${dir} ${flags.join(' ')}`,
  )
}
