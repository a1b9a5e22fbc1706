import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";

/** What Node asks a certificate for where the client names nothing. */
const UNNAMED = "localhost";

/**
 * Node's check that a server's certificate is for the name that the server is reached by, with what the client leaves
 * out: of a server that is given by its address it passes nothing on, and Node asks for "localhost" then. So the
 * certificate of any localhost would do, and the right one would not. Such a server's certificate has to be for one of
 * the addresses in the settings. (One that the client learned from the cluster is checked against the name of the server that
 * told.)
 *
 * @param servers `host:port` each, as in NATS_SERVERS.
 */
export function serverIdentityCheck(servers: readonly string[]) {
  const hosts = servers.map((server) => server.slice(0, server.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1"));
  const unnamed = hosts.filter((host) => isIP(host) !== 0 || host === UNNAMED);
  return (name: string, certificate: PeerCertificate): Error | undefined => {
    const accepted = name === UNNAMED && unnamed.length > 0 ? unnamed : [name];
    const errors = accepted.map((host) => checkServerIdentity(host, certificate));
    return errors.includes(undefined) ? undefined : errors[0];
  };
}
