// Decide IAM requests with @cloud-copilot/iam-simulate. Each line of standard input is a JSON list of
//   {principal, action, resource, account, context, policies: {name: document},
//    boundary: document | null, trust: document | null}
// and is answered by a line with a JSON list of {decision} (Allowed, ImplicitlyDenied,
// ExplicitlyDenied) or {error}.
import { runSimulation, runUnsafeSimulation } from '@cloud-copilot/iam-simulate'
import { createInterface } from 'node:readline'

// AWS's reference lists these keys for AssumeRoleWithWebIdentity only, though a session keeps them and
// policies use them for any action. The checked run drops them, so the unchecked one decides then.
const KEPT_BY_THE_SESSION = new Set(
  ['sub', 'aud', 'amr'].map((key) => `cognito-identity.amazonaws.com:${key}`)
)
const STRICT = { simulationMode: 'Strict' }

async function decide({ principal, action, resource, account, context, policies, boundary, trust }) {
  const simulation = {
    request: {
      principal,
      action,
      resource: { resource, accountId: account },
      contextVariables: context
    },
    identityPolicies: Object.entries(policies).map(([name, policy]) => ({ name, policy })),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(boundary && { permissionBoundaryPolicies: [{ name: 'boundary', policy: boundary }] }),
    ...(trust && { resourcePolicy: trust })
  }
  const checked = await runSimulation(simulation, STRICT)
  if (checked.resultType === 'error') {
    return { error: `${action} on ${resource}: ${JSON.stringify(checked.errors)}` }
  }
  const results = checked.results ?? [checked.result]
  const ignored = results.flatMap((result) => result.ignoredContextKeys ?? [])
  const wrong = ignored.filter((key) => !KEPT_BY_THE_SESSION.has(key))
  if (wrong.length > 0) {
    return { error: `${action} has no context key ${wrong.join(', ')}` }
  }
  const decision =
    trust || ignored.length === 0 ? checked.overallResult : runUnsafeSimulation(simulation, STRICT)
  return { decision }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = await Promise.all(JSON.parse(line).map(decide))
  process.stdout.write(JSON.stringify(answers) + '\n')
}
