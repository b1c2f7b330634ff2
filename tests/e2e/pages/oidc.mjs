// An issuer of accounts: node-oidc-provider with its own pages for login and consent, which take any password.
// Arguments: the folder where npm installed it, and JSON with `issuer`, `client`, and `accounts` (subjects by login).
// Ends with whoever started it: when standard input is closed.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, given] = process.argv.slice(2)
const { issuer, client, accounts } = JSON.parse(given)
const entry = join(folder, 'node_modules', 'oidc-provider', 'lib', 'index.js')
const { default: Provider } = await import(pathToFileURL(entry).href)

// By way of PEM: Node 20 waits for ever if it collects the job that made a key while it exports that key as a JWK, since
// both lock the key.
const PEM = {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}

function signing(alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, { ...options, ...PEM })
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), alg, kid: alg, use: 'sig' }
}

const provider = new Provider(issuer, {
  claims: { openid: ['sub'] },
  clientAuthMethods: [client.token_endpoint_auth_method],
  clients: [client],
  cookies: { keys: ['of this test'] },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_, login) =>
    Object.hasOwn(accounts, login) ? { accountId: login, claims: () => ({ sub: login }) } : undefined,
  jwks: { keys: [signing('RS256', 'rsa', { modulusLength: 2048 }), signing('ES256', 'ec', { namedCurve: 'P-256' })] },
  pairwiseIdentifier: (_, login) => accounts[login],
  pkce: { required: () => true },
  subjectTypes: ['pairwise'],
})

process.stdin.on('end', () => process.exit()).resume()
createServer(provider.callback()).listen(new URL(issuer).port, '127.0.0.1')
