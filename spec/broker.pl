# A broker for spec/mqtt_spec.lua that does what its script says, and writes down what it gets.
# usage: perl broker.pl PARENT LOG STEP...    prints its port; ends with its parent
#   read:N     reads N packets, and writes each as a line of hexadecimal digits to LOG
#   stay       reads and writes down until the client has gone; then writes "eof"
#   send:HEX   drip:HEX   sends these bytes, the latter one by one
#   flood:N:HEX   sends them N times, then writes "flooded" to LOG
#   file:PATH  sends what is in that file
#   proxy:N    reads the request of an HTTP client, writes its first line to LOG, answers with N
#   sleep:S    hold    does nothing for S seconds, or until its parent ends
#   wait       does nothing until a SIGUSR1, which may have come before
#   close      reset   ends the connection (as it does when there are no more steps)
#   next       what follows is for the next connection; the last part serves all that come
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);

my ($parent, $file, @steps) = @ARGV;
open my $log, '>>', $file or die;
$log->autoflush(1);
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die;
$| = 1;
$SIG{PIPE} = 'IGNORE';
my $signals = 0;
$SIG{USR1} = sub { $signals++ };
print $server->sockport, "\n";
$server->timeout(1);

my ($peer, $have) = (undef, '');

# One packet, as it came; undef at the end.
sub packet {
  for (;;) {
    my ($length, $i) = (0, 1);
    while ($i < length $have) {
      my $byte = ord substr $have, $i, 1;
      $length |= ($byte & 127) << 7 * ($i - 1);
      $i++;
      next if $byte & 128;
      return substr $have, 0, $i + $length, '' if length $have >= $i + $length;
      last;
    }
    vec(my $ready = '', fileno $peer, 1) = 1;
    my $waits = $ready;
    until (select $waits = $ready, undef, undef, 1) { kill 0, $parent or exit; }
    return undef unless sysread $peer, $have, 65536, length $have;
  }
}

sub reads { my $p = packet; print $log defined $p ? unpack('H*', $p) : 'eof', "\n"; return defined $p; }

sub sends {
  my $bytes = shift;
  while (length $bytes) {
    my $n = syswrite $peer, $bytes;
    return unless defined $n;
    substr $bytes, 0, $n, '';
  }
}

sub step {
  my ($what, $value, $more) = split /:/, shift;
  if ($what eq 'read') { reads for 1 .. $value }
  elsif ($what eq 'stay') { 1 while reads }
  elsif ($what eq 'send') { sends pack 'H*', $value }
  elsif ($what eq 'flood') { sends pack('H*', $more) x $value; print $log "flooded\n" }
  elsif ($what eq 'file') { open my $f, '<:raw', $value or die; local $/; sends scalar <$f> }
  elsif ($what eq 'drip') { for (split //, pack 'H*', $value) { sends $_; select undef, undef, undef, 0.01 } }
  elsif ($what eq 'proxy') {
    sysread $peer, $have, 65536, length $have until $have =~ s/^(.*?)\r\n.*?\r\n\r\n//s;
    print $log "$1\n";
    sends "HTTP/1.1 $value Said\r\n\r\n";
  }
  elsif ($what eq 'sleep') { select undef, undef, undef, $value }
  elsif ($what eq 'wait') {
    until ($signals) { select undef, undef, undef, 0.01; kill 0, $parent or exit }
    $signals--;
  }
  elsif ($what eq 'hold') { sleep 1 while kill 0, $parent }
  elsif ($what eq 'reset') { setsockopt $peer, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 }
}

my @parts = ([]);
for (@steps) { if ($_ eq 'next') { push @parts, [] } else { push @{$parts[-1]}, $_ } }
while (kill 0, $parent) {
  $peer = $server->accept or next;
  setsockopt $peer, IPPROTO_TCP, TCP_NODELAY, 1;
  $have = '';
  my $part = @parts > 1 ? shift @parts : $parts[0];
  for (@$part) { last if $_ eq 'close'; step $_ }
  close $peer;
}
