/** Addresses of every range that is not the internet, at its ends, and some that are known for what is there. */
export const FORBIDDEN = [
  // unspecified, and "this network" (RFC 1122)
  ...['0.0.0.0', '0.255.255.255', '::'],
  // private (RFC 1918) and unique local (RFC 4193)
  ...['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'],
  ...['fc00::', 'fd00::1', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  // link-local (RFC 3927, 4291) with the metadata of clouds, and site-local (RFC 3879)
  ...['169.254.0.0', '169.254.169.254', '169.254.170.2', '169.254.255.255'],
  ...['fe80::', 'fe80::1%eth0', 'febf::1', 'fec0::1', 'feff::1', 'fd00:ec2::254'],
  // carrier-grade NAT (RFC 6598), with the metadata of one cloud
  ...['100.64.0.0', '100.100.100.200', '100.127.255.255'],
  // the inside of one cloud, at an address of the internet
  '168.63.129.16',
  // multicast and broadcast
  ...['224.0.0.0', '239.255.255.255', '255.255.255.255', 'ff00::', 'ff02::1', 'ffff::1'],
  // protocols (RFC 6890), with the metadata of one cloud; documentation (RFC 5737, 3849, 9637); benchmarks; reserved
  ...['192.0.0.0', '192.0.0.192', '192.0.0.255', '192.0.2.1', '198.51.100.1', '203.0.113.1'],
  ...['192.88.99.1', '198.18.0.0', '198.19.255.255', '240.0.0.0', '255.255.255.254'],
  ...['2001:db8::1', '3fff::1', '3fff:fff::1', '2001:2::1', '2001:10::1', '2001:20::1', '100::1', '5f00::1', '4000::1'],
  // IPv6 forms of IPv4 addresses: mapped, compatible, translated, NAT64 (RFC 6052, 8215), 6to4, Teredo
  ...['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:169.254.169.254', '::ffff:1.1.1.1', '::ffff:7f00:1'],
  ...['::127.0.0.1', '::1.1.1.1', '::2', '::ffff:0:127.0.0.1'],
  ...['64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '64:ff9b::101:101', '64:ff9b:1::7f00:1'],
  ...['2002:7f00:1::1', '2002:a9fe:a9fe::1', '2002:101:101::1', '2001::1', '2001:0:7f00:1::1'],
];

export const LOOPBACK = ['127.0.0.1', '127.0.0.0', '127.255.255.255', '::1'];
