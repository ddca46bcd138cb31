import { Component, type ReactNode } from 'react';

// Guard shows an error where it happened instead of an empty page.
export class Guard extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) { return { error }; }
  override render() {
    return this.state.error ? <p className="hint error" role="alert">This cannot be shown: {this.state.error.message}</p> : this.props.children;
  }
}
