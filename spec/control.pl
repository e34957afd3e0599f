# Sends the requests of a spec to the simulator's /_sim, so that not each one starts a program.
# usage: perl spec/control.pl PARENT http|https HOST PORT <FIFO
# Reads "METHOD TARGET LENGTH\n" and so many bytes of a body; writes "STATUS LENGTH\n" and the
# answer's body. STATUS is 0 if no answer came. Ends with its input, its parent, or "quit".
use strict;
use warnings;
use Socket qw(getaddrinfo SOCK_STREAM);

my ($parent, $scheme, $host, $port) = @ARGV;
my ($from, $to, $openssl);
my $in = '';
$| = 1;
$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { die "late\n" };

# False if there is no more input.
sub more {
  for (;;) {
    vec(my $ready = '', 0, 1) = 1;
    return sysread STDIN, $in, 65536, length $in if select($ready, undef, undef, 1) > 0;
    return 0 unless kill 0, $parent;
  }
}

sub hang_up {
  kill 'TERM', $openssl if $openssl;
  waitpid $openssl, 0 if $openssl;
  ($from, $to, $openssl) = ();
}

# Perl itself has no TLS. The certificate is not checked: some specs are about a bad one.
sub open_connection {
  if ($scheme eq 'https') {
    require IPC::Open2;
    $openssl = IPC::Open2::open2($from, $to,
      "exec openssl s_client -quiet -connect '$host:$port' 2>/dev/null");
    return;
  }
  my ($error, $place) = getaddrinfo($host =~ /^\[?([^\]]*)/, $port, { socktype => SOCK_STREAM });
  die $error if $error;
  socket $from, $place->{family}, SOCK_STREAM, 0 or die;
  connect $from, $place->{addr} or die;
  $to = $from;
}

# Dies if no whole answer comes.
sub answer_to {
  my ($request) = @_;
  my $got = '';
  open_connection() unless $from;
  while (length $request) {
    my $sent = syswrite $to, $request or die;
    substr $request, 0, $sent, '';
  }
  until ($got =~ /\r\n\r\n/) { sysread $from, $got, 65536, length $got or die }
  my ($head, $body) = split /\r\n\r\n/, $got, 2;
  my ($status) = $head =~ m{^HTTP/1\.\d (\d+)} or die;
  my ($length) = $head =~ /^Content-Length: (\d+)/mi or die;
  while (length $body < $length) { sysread $from, $body, 65536, length $body or die }
  return "$status $length\n$body";
}

REQUEST: for (;;) {
  until ($in =~ /\n/) { more() or last REQUEST }
  $in =~ s/^([A-Z]+) (\S+) (\d+)\n// or last;
  my ($method, $target, $length) = ($1, $2, $3);
  until (length $in >= $length) { more() or last REQUEST }
  my $request = "$method $target HTTP/1.1\r\nHost: $host:$port\r\nContent-Length: $length\r\n\r\n"
    . substr $in, 0, $length, '';
  alarm 30;
  my $answer = eval { answer_to($request) };
  alarm 0;
  # A TLS connection is kept, since opening one starts a program.
  hang_up() unless $openssl && $answer;
  print $answer || "0 0\n";
}
hang_up();
